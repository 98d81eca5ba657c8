import gc

import pytest
from exeunt.specs import SpecError
from exeunt.sweep.planning.garbage import no_search_for_garbage


def test_the_search_goes_on_after_a_file_was_read_and_after_a_mistake_in_one(read, good):
    read(good)
    assert gc.isenabled()
    with pytest.raises(SpecError):
        read(good.replace("seeds", "seed"))
    assert gc.isenabled()


def test_it_pauses_within_and_stays_off_where_it_was_off():
    with no_search_for_garbage():
        assert not gc.isenabled()
        with no_search_for_garbage():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()

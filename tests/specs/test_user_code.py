"""Border to code of users: which exceptions become one message, and which pass."""

import functools
import linecache
import sys
from types import ModuleType

import pytest
from exeunt.specs import SpecError, printable_lines
from exeunt.specs.user_code import UserCodeError, definition, described, is_users, refused, user_code, user_modules

SOURCE = """\
import functools


def fails(error):
    raise error


def wrapped(function):
    @functools.wraps(function)
    def inner(*arguments):
        return function(*arguments)
    return inner


@wrapped
def decorated():
    pass


class Network:
    def __call__(self):
        return deeper(fails)


def deeper(function):
    return function(KeyError("a"))
"""


@pytest.fixture
def theirs():
    """Module of a user, with the file name `theirs.py`."""
    module = ModuleType("theirs_of_a_test")
    module.__file__ = "theirs.py"
    sys.modules[module.__name__] = module
    linecache.cache["theirs.py"] = (len(SOURCE), None, SOURCE.splitlines(keepends=True), "theirs.py")
    exec(compile(SOURCE, "theirs.py", "exec"), module.__dict__)
    user_modules.add(module.__name__)
    yield module
    user_modules.remove(module.__name__)
    del sys.modules[module.__name__], linecache.cache["theirs.py"]


def test_the_deepest_line_of_a_user_is_named_with_what_was_received(theirs):
    with pytest.raises(UserCodeError) as caught, user_code("the part", received=lambda line: f"Got {line}."):
        theirs.Network()()
    assert str(caught.value) == (
        "theirs.py:5: the part raised KeyError: 'a'. Correct this line: `raise error`. Got raise error."
    )
    assert 'File "theirs.py", line 5, in fails' in caught.value.trace
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SpecError("a rule"), UserCodeError("once")])
def test_some_errors_of_a_user_pass(error, theirs):
    with pytest.raises(type(error)) as caught, user_code("the part", theirs.fails):
        theirs.fails(error)
    assert caught.value is error


def test_errors_of_others_pass(theirs):
    with pytest.raises(ZeroDivisionError), user_code("the part", pytest.raises, received=lambda line: line):
        1 / 0  # noqa: B018
    with pytest.raises(MemoryError), user_code("the part", unless=lambda error: isinstance(error, MemoryError)):
        theirs.fails(MemoryError())


def test_without_a_line_of_a_user_the_place_is_the_definition(theirs):
    with pytest.raises(UserCodeError, match=r"^theirs\.py:4: the part raised TypeError: .* Correct this code\.$"):  # noqa: SIM117
        with user_code("the part", len, theirs.fails):
            theirs.fails()
    with (
        pytest.raises(UserCodeError, match=r"^theirs\.py:20: a rule$"),
        user_code("the part", theirs.Network, owns=True),
    ):
        raise SpecError("a rule", field="architecture")


def test_definitions(theirs):
    assert definition(functools.partial(theirs.fails, 1)) == "theirs.py:4"
    assert definition(theirs.decorated) == "theirs.py:15"
    assert definition(theirs.Network()) == definition(theirs.Network) == "theirs.py:20"
    assert definition(len, None, 3) is None
    assert is_users(theirs.fails)
    assert not is_users(user_code)


def test_what_is_refused_has_a_place_only_if_it_is_a_users(theirs):
    assert str(refused("the part", "is wrong.", theirs.fails)) == "theirs.py:4: the part is wrong."
    assert str(refused("the part", "is wrong.", len)) == "the part is wrong."


def test_values_are_described_in_a_few_words():
    class Tensor:
        shape, dtype = (2, 3), "torch.float32"

    assert described(Tensor()) == "(2, 3) float32"
    assert described((Tensor(), Tensor())) == "2 x (2, 3) float32"
    assert described([Tensor(), 1]) == "[(2, 3) float32, 1]"
    assert described(()) == "none"
    assert described("\x1b[31m" * 20) == repr("\x1b[31m" * 20)[:60]
    assert described({}) == "of type dict"


def test_lines_keep_their_breaks_and_indents_but_no_escape_sequences():
    assert printable_lines("a\n  b\x1b[31m\r\n\tc\u202e") == "a\n  b\\x1b[31m\n    c\\u202e"

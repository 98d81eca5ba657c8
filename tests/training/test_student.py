import torch
from exeunt.losses import DML
from exeunt.models import Cohort
from exeunt.training import build_student


def test_the_networks_of_a_cohort_differ_and_come_from_the_seed(make_trial):
    first, second, third = build_student(make_trial(DML(networks=3))).networks
    assert isinstance(build_student(make_trial(DML())), Cohort)
    for one, other in ((first, second), (second, third), (first, third)):
        assert not torch.equal(one.trunk.classifier.weight, other.trunk.classifier.weight)
    again = build_student(make_trial(DML(networks=3))).networks[1]
    assert torch.equal(again.trunk.classifier.weight, second.trunk.classifier.weight)

"""Energy of a GPU, read from a small library with NVML's functions that a C compiler builds here."""

import shutil
import subprocess
from types import SimpleNamespace

import pytest
import torch
from exeunt.training import DataSource, nvml
from exeunt.training.distributed import ProcessGroup
from exeunt.training.loop import TrainingLoop
from exeunt.training.nvml import EnergyUnavailableError, driver_version, total_joules
from exeunt.training.resource_usage import ResourceUsage

from ..fake_cuda import DEVICE, fake_cuda

SOURCE = r"""
#include <string.h>
static char board, part;
static unsigned long long millijoules = 5000000000000;
int nvmlInit_v2(void) { return 0; }
const char *nvmlErrorString(int status) { return status == 3 ? "Not Supported" : "Not Found"; }
int nvmlSystemGetDriverVersion(char *version, unsigned length) { strncpy(version, "575.57", length); return 0; }
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
  if (!strcmp(uuid, "GPU-whole")) *device = &board;
  else if (!strcmp(uuid, "MIG-part")) *device = &part;
  else return 6;
  return 0;
}
int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *mig, void **device) { *device = &board; return mig != &part; }
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *energy) {
  if (device != &board) return 3;
  *energy = millijoules += 2500;
  return 0;
}
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    if (compiler := shutil.which("gcc") or shutil.which("cc")) is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("nvml")
    (folder / "nvml.c").write_text(SOURCE)
    command = [compiler, "-shared", "-fPIC", "-o", str(folder / "libnvml.so"), str(folder / "nvml.c")]
    subprocess.run(command, check=True, capture_output=True)
    return str(folder / "libnvml.so")


@pytest.fixture
def gpu(library, monkeypatch):
    """Function that gives this process a GPU with a UUID."""
    monkeypatch.setattr(nvml, "LIBRARY", library)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: None)

    def with_uuid(uuid):
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid=uuid))
        return ResourceUsage(DEVICE)

    return with_uuid


@pytest.mark.parametrize("uuid", ["whole", "part"])
def test_the_energy_is_that_of_the_gpu_also_for_a_part_of_it(gpu, uuid):
    usage = gpu(uuid)
    assert usage.joules() == 2.5
    assert usage.energy_problem == ""
    assert total_joules(uuid) > 5e9
    assert driver_version() == "575.57"


def test_why_there_is_no_energy_is_recorded(gpu, monkeypatch):
    usage = gpu("other")
    assert (usage.joules(), usage.energy_problem) == (None, "nvmlDeviceGetHandleByUUID: Not Found")
    monkeypatch.setattr(nvml, "LIBRARY", "libabsent.so.1")
    assert (driver_version(), gpu("whole").joules()) == ("", None)
    with pytest.raises(EnergyUnavailableError, match=r"library libabsent\.so\.1 cannot be loaded"):
        total_joules("whole")


def test_a_library_without_a_function_is_too_old(gpu, library):
    gpu("whole")
    with pytest.raises(EnergyUnavailableError, match="it has no nvmlNewer"):
        nvml._call(nvml._library(library), "nvmlNewer")


def test_a_trial_with_a_share_of_a_gpu_has_this_share_of_its_energy(gpu, make_trial):
    gpu("whole")
    with fake_cuda():
        torch.cuda.get_device_properties = lambda _: SimpleNamespace(uuid="whole")  # restored at the end
        run = TrainingLoop(make_trial(), DEVICE, None, DataSource(), ProcessGroup(), gpu_share=0.25)
        assert run._joules() == 0.25 * 2.5

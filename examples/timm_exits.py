"""A network of timm with exits after modules of its own: cost of each exit, weights in both directions, ONNX.

    python examples/timm_exits.py

It needs timm and the packages of `pip install 'exeunt[timm,export]'`.
"""

import timm
import torch
from exeunt.models import attach_exits, exit_costs, export_network, load_original_state, original_state

SIZE = 64

network = timm.create_model("resnet18", num_classes=10)
with_exits = attach_exits(network, after=["layer1", "layer2", "layer3"], head="bottleneck", image_shape=(3, SIZE, SIZE))
for cost in exit_costs(with_exits, (3, SIZE, SIZE)):
    print(f"exit {cost.exit}: {cost.multiply_adds / 1e6:.1f} M multiply-adds, {cost.parameters / 1e6:.2f} M parameters")

# The weights keep the names of timm: they load from a checkpoint of timm and go back into timm's network.
load_original_state(with_exits, timm.create_model("resnet18", num_classes=10).state_dict())
plain = timm.create_model("resnet18", num_classes=10)
plain.load_state_dict(original_state(with_exits))
images = torch.randn(2, 3, SIZE, SIZE)
with torch.no_grad():
    difference = (plain.eval()(images) - with_exits.eval()(images).logits[-1]).abs().max()
print(f"largest difference to timm's network: {difference.item()}")

export_network(with_exits, "resnet18.onnx", "onnx", (3, SIZE, SIZE))

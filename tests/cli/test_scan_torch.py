"""tare scan: what the real PyTorch writes is safe, without a finding."""

import unittest

from harness import TareTest, needs_torch, run_python, torch_pythons

MAKE_FILES = """
import collections, sys, torch
folder = sys.argv[1] + "/"

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten())
        self.head = torch.nn.Linear(144, 2)
        self.cell = torch.nn.LSTM(2, 3)
        self.attention = torch.nn.MultiheadAttention(4, 2)

    def forward(self, x: torch.Tensor):
        y = self.head(self.body(x))
        if y.size(0) > 7:
            raise ValueError("too many: {}".format(y.size(0)))
        z, _ = self.cell(y.unsqueeze(0))
        parts = [z * i for i in range(3)]
        names = {"a": 1, "b": 2}
        for name in names:
            print(name)
        return torch.softmax(torch.stack(parts).sum(0), -1)

net = Net().eval()
state = net.state_dict()
torch.save(state, folder + "state.pt")
torch.save({"model": state, "epoch": 3, "loss": 0.5, "name": "x"}, folder + "checkpoint.pt")
torch.save(state, folder + "protocol4.pt", pickle_protocol=4)
torch.save(state, folder + "legacy.pt", _use_new_zipfile_serialization=False)
torch.save(torch.arange(10.0)[::2], folder + "view.pt")
torch.save([torch.zeros(0), torch.zeros(()), torch.ones(2, dtype=torch.bool)], folder + "small.pt")
torch.save(torch.zeros(300_000), folder + "large.pt")
x = torch.ones(1, 3, 8, 8)
torch.jit.save(torch.jit.script(net), folder + "scripted.pt")
torch.jit.save(torch.jit.freeze(torch.jit.script(net)), folder + "frozen.pt")
torch.jit.save(torch.jit.trace(net.body, x), folder + "traced.pt")
"""


@needs_torch
class Torch(TareTest):
    def test_what_torch_writes_is_safe(self):
        for python, version in torch_pythons():
            with self.subTest(torch=version):
                # torch.jit.script reads the source of a class from its file.
                path = self.write("make.py", MAKE_FILES.encode())
                run = "import runpy, sys; runpy.run_path(sys.argv[2])"
                run_python(python, run, self.folder, path, cwd=self.folder)
                models = [name for name in self.files() if name.endswith(".pt")]
                report = self.tare_json("scan", "--format", "json", *models)
                self.assertGreaterEqual(len(report["files"]), 10)
                for file in report["files"]:
                    self.assertEqual(file["verdict"], "safe", file)
                    self.assertEqual(file["findings"], [], file)


if __name__ == "__main__":
    unittest.main()

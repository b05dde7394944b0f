"""Lets torchvision be imported beside a torch that its compiled operators do not fit: their names are enough here.

On the path of every script that is run; where torchvision fits, it does nothing. No script calls the operators.
"""

import importlib.abc
import importlib.util
import sys


class _Named(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            try:
                found = importlib.util.find_spec("torchvision").origin.replace("__init__.py", "_C.so")
                torch.ops.load_library(found)
            except Exception:
                library = torch.library.Library("torchvision", "FRAGMENT")
                library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
                library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
                self.kept = library
                _KEPT.append(library)
        return None


_KEPT = []
sys.meta_path.insert(0, _Named())

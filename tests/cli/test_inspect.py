"""tare inspect: totals by dtype, and the tree of name prefixes."""

import unittest

from harness import TareTest, safetensors_bytes


def parent(prefix, groups):
    """The deepest other group that a prefix lies in."""
    return max((g for g in groups if prefix.startswith(g + ".")), key=len, default=None)


class Tree(TareTest):
    def tree(self, names, *options, size=4):
        tensors = {name: ("U8", [size], bytes(size)) for name in names}
        self.write("m", safetensors_bytes(tensors))
        return self.tare_json("inspect", "--json", *options, "m")["tree"]

    def shape(self, names, *options):
        """[(depth, label, tensors)]"""
        return [(g["depth"], g["label"], g["tensors"]) for g in self.tree(names, *options)]

    def test_names_are_cut_at_dots(self):
        self.assertEqual(
            self.shape(["a.x", "a.y", "b", "ab.x"]),
            [(0, "a", 2), (1, "x", 1), (1, "y", 1), (0, "ab.x", 1), (0, "b", 1)])

    def test_chains_of_single_children_are_one_group(self):
        self.assertEqual(
            self.shape(["model.encoder.0.w", "model.encoder.1.w.deep.er"]),
            [(0, "model.encoder", 2), (1, "0.w", 1), (1, "1.w.deep.er", 1)])

    def test_numbers_are_sorted_as_numbers(self):
        labels = [g["label"] for g in self.tree([f"l.{i}.w" for i in (10, 9, 100, 2, 0, "x", "02")])]
        self.assertEqual(labels, ["l", "0.w", "02.w", "2.w", "9.w", "10.w", "100.w", "x.w"])

    def test_a_tensor_may_be_called_like_a_group(self):
        self.assertEqual(
            self.shape(["a", "a.b", "a.c", "", ".", "..x"]),
            [(0, "", 3), (1, "", 2), (2, "x", 1), (0, "a", 3), (1, "b", 1), (1, "c", 1)])

    def test_depth_limits_the_levels_and_says_what_is_folded(self):
        names = [f"m.{i}.{k}.{w}" for i in range(3) for k in "ab" for w in "xyz"]
        for depth in (1, 2, 3, 4, 64):
            groups = self.tree(names, "--depth", str(depth))
            self.assertEqual(max(g["depth"] for g in groups), min(depth, 4) - 1)
            deepest = [g for g in groups if g["depth"] == depth - 1]
            self.assertEqual({g["folded"] for g in deepest},
                             {1: {3}, 2: {2}, 3: {3}, 4: {0}, 64: set()}[depth])
            self.assertEqual({g["folded"] for g in groups if g["depth"] < depth - 1} - {0}, set())
        done = self.tare("inspect", "--tree", "--depth", "2", "m", expect=0)
        self.assertIn("--depth 3 shows more", done.stdout)
        self.assertNotIn("shows more", self.tare("inspect", "--tree", "--depth", "4", "m").stdout)
        for depth in ("0", "65", "x"):
            self.tare("inspect", "--depth", depth, "m", expect=4)

    def test_every_level_adds_up(self):
        names = [f"{a}.{b}.{c}" for a in "pqr" for b in range(7) for c in ("w", "b", "n.x", "n.y")]
        groups = {g["prefix"]: g for g in self.tree(names, "--depth", "64", size=3)}
        self.assertEqual(sum(g["tensors"] for g in groups.values() if g["depth"] == 0), len(names))
        for prefix, group in groups.items():
            below = [g for p, g in groups.items() if parent(p, groups) == prefix]
            self.assertEqual(group["bytes"], 3 * group["tensors"])
            if below:
                self.assertEqual(group["tensors"], sum(g["tensors"] for g in below))
                self.assertEqual({g["depth"] for g in below}, {group["depth"] + 1})

    def test_many_children_are_summed_up(self):
        groups = self.tree([f"x.{i}" for i in range(250)])
        self.assertEqual(len(groups), 101)
        self.assertEqual((groups[-1]["label"], groups[-1]["tensors"]), ("(more)", 151))
        self.assertEqual(len(self.tree([f"x.{i}" for i in range(100)])), 101)

    def test_hostile_names_take_no_time(self):
        self.assertEqual(len(self.tree(["." * 200_000, "." * 200_000 + "a"], "--depth", "64")), 3)
        names = ["." * i for i in range(1000)]
        self.assertEqual(len(self.tree(names, "--depth", "64")), 64)
        done = self.tare("inspect", "--tree", "m", expect=0)
        self.assertLess(len(done.stdout), 1000)

    def test_names_cannot_reach_the_terminal(self):
        self.tree(["\x1b]0;owned\x07.a", "\x1b]0;owned\x07.b", "e\u202ee"])
        done = self.tare("inspect", "--tree", "m", expect=0)
        self.assert_printable(done.stdout)


class Totals(TareTest):
    def test_sizes_by_dtype(self):
        self.write("m", safetensors_bytes({
            "a": ("U8", [3], b"abc"), "b": ("F32", [2], bytes(8)), "c": ("U8", [1], b"x")}))
        document = self.tare_json("inspect", "--json", "m")
        self.assertEqual(document["tensor_bytes"], 12)
        self.assertEqual(document["dtypes"], [{"dtype": "F32", "tensors": 1, "bytes": 8},
                                              {"dtype": "U8", "tensors": 2, "bytes": 4}])
        self.assertIn(" 66.7 %  ################\n", self.tare("inspect", "m", expect=0).stdout)

    def test_one_dtype_needs_no_totals(self):
        self.write("m", safetensors_bytes({"a": ("U8", [3], b"abc")}))
        self.assertNotIn("%", self.tare("inspect", "m", expect=0).stdout)

    def test_a_model_without_tensors(self):
        self.write("m", safetensors_bytes({}))
        document = self.tare_json("inspect", "--json", "m")
        self.assertEqual((document["dtypes"], document["tree"]), ([], []))
        self.assertEqual(self.tare("inspect", "--tree", "m", expect=0).stdout,
                         "m: safetensors, 0 tensors, 0 B of data\n")

    def test_tensors_without_bytes(self):
        self.write("m", safetensors_bytes({"a.x": ("U8", [0], b""), "a.y": ("F32", [0], b"")}))
        self.assertIn("0.0 %", self.tare("inspect", "--tree", "m", expect=0).stdout)


if __name__ == "__main__":
    unittest.main()

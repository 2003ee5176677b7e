"""Small model files by hand, one or two of each format: for golden texts, and as seeds of the fuzzers."""

import json
import struct


def message(*fields):
    """A protobuf message: (number, int or bytes) each."""
    def varint(value):
        out = b""
        value &= (1 << 64) - 1
        while value >= 128:
            out, value = out + bytes([value & 127 | 128]), value >> 7
        return out + bytes([value])

    return b"".join(varint(n << 3) + varint(v) if isinstance(v, int) else varint(n << 3 | 2) + varint(len(v)) + v
                    for n, v in fields)


def xgboost(left=(1, -1, -1), objective="reg:squarederror"):
    tree = {"left_children": list(left), "right_children": [2, -1, -1], "parents": [2147483647, 0, 0],
            "split_indices": [1, 0, 0], "split_conditions": [0.5, -1.5, 2.0], "default_left": [0, 0, 0], "id": 0,
            "tree_param": {"num_nodes": "3"}}
    model = {"gbtree_model_param": {"num_trees": "1"}, "tree_info": [0], "iteration_indptr": [0, 1], "trees": [tree]}
    return {"learner": {"attributes": {"best": "3"}, "gradient_booster": {"model": model, "name": "gbtree"},
                        "learner_model_param": {"num_feature": "2"}, "objective": {"name": objective}}, "version": [3, 2, 0]}


def ubjson(value):
    """As XGBoost writes it."""
    def sized(text):
        return b"L" + struct.pack(">q", len(text)) + text

    if isinstance(value, dict):
        return b"{" + b"".join(sized(k.encode()) + ubjson(v) for k, v in value.items()) + b"}"
    if isinstance(value, str):
        return b"S" + sized(value.encode())
    if isinstance(value, int):
        return b"L" + struct.pack(">q", value)
    if value and all(isinstance(v, float) for v in value):
        return b"[$d#L" + struct.pack(">q", len(value)) + struct.pack(f">{len(value)}f", *value)
    return b"[#L" + struct.pack(">q", len(value)) + b"".join(map(ubjson, value))


def lightgbm(left="1 -1", parameters=""):
    tree = (f"Tree=0\nnum_leaves=3\nnum_cat=0\nsplit_feature=1 0\nthreshold=0.5 0\ndecision_type=2 2\nleft_child={left}\n"
            "right_child=-2 -3\nleaf_value=0.1 -2e-5 1\nshrinkage=1\n\n\n")
    return ("tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=1\nobjective=regression\n"
            f"feature_names=a b\nfeature_infos=[0:1] none\ntree_sizes={len(tree)}\n\n{tree}end of trees\n\n"
            f"parameters:\n[boosting: gbdt]\n{parameters}end of parameters\n\npandas_categorical:null\n").encode()


def flat(slots):
    """A FlatBuffer whose root table has these slots: None, bytes of a number, a list of tables or (width, bytes), a table."""
    out = bytearray(4)

    def put(value):
        out.extend(bytes(-len(out) % 8))
        at = len(out)
        if isinstance(value, tuple):  # a vector of numbers
            out.extend(struct.pack("<I", len(value[1]) // value[0]) + value[1] + b"\0")
        elif isinstance(value, list):  # a vector of tables
            out.extend(struct.pack("<I", len(value)) + bytes(4 * len(value)))
            for i, table in enumerate(value):
                point(at + 4 + 4 * i, put(table))
        else:
            fields = list(value.values())
            out.extend(struct.pack("<HH", 4 + 2 * len(fields), 8 + 8 * len(fields)))
            out.extend(b"".join(struct.pack("<H", 0 if f is None else 8 + 8 * i) for i, f in enumerate(fields)))
            out.extend(bytes(-len(out) % 8))
            vtable, at = at, len(out)
            out.extend(struct.pack("<iI", at - vtable, 0) + bytes(8 * len(fields)))
            for i, field in enumerate(fields):
                if isinstance(field, bytes):
                    out[at + 8 + 8 * i:at + 8 + 8 * i + len(field)] = field
                elif field is not None:
                    point(at + 8 + 8 * i, put(field))
        return at

    def point(place, target):
        out[place:place + 4] = struct.pack("<I", target - place)

    point(0, put(slots))
    return bytes(out)


def catboost(splits=(0, 2)):
    """One oblivious tree of two splits, on one feature with three thresholds."""
    def ints(*values):
        return 4, struct.pack(f"<{len(values)}i", *values)

    feature = {"has_nans": None, "index": None, "flat_index": None, "borders": (4, bytes(12))}
    trees = {"dimension": struct.pack("<i", 1), "splits": ints(*splits), "sizes": ints(2), "starts": ints(0), "categories": None,
             "floats": [feature], "one_hots": None, "ctrs": None, "values": (8, bytes(32))}
    core = flat({"version": (1, b"FlabuffersModel_v1"), "trees": trees, "info": [{"key": (1, b"params"), "value": (1, b"{}")}]})
    return b"CBM1" + struct.pack("<I", len(core)) + core


def pmml(inside="<DataDictionary/>", before=""):
    return f'<?xml version="1.0"?>{before}<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4">{inside}</PMML>'.encode()


def openvino(layer="Result", offset="0"):
    return ('<?xml version="1.0"?><net name="n" version="11"><layers><layer id="0" name="w" type="Const" version="opset1">'
            f'<data element_type="f32" shape="2" offset="{offset}" size="8"/></layer><layer id="1" name="r" type="{layer}" '
            'version="opset1"/></layers><edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/></edges></net>').encode()


def coreml(layer=(140, b"")):
    return message((1, 4), (2, message((1, b"x"))), (500, message((1, message((1, b"layer"), layer)))))


def coreml_program(path=b"@model_path/weights/weight.bin"):
    value = message((5, message((1, path), (2, 64))))
    operation = message((1, b"const"), (5, message((1, b"val"), (2, value))))
    function = message((3, message((1, b"CoreML5"), (2, message((3, operation))))))
    return message((1, 6), (2, b""), (502, message((1, 1), (2, message((1, b"main"), (2, function))))))


def coreml_weights():
    return struct.pack("<II", 1, 2) + bytes(56) + struct.pack("<IIQQQ", 0xDEADBEEF, 2, 8, 128, 0) + bytes(32) + bytes(8)


def coreml_manifest(path="com.apple.CoreML/model.mlmodel"):
    return json.dumps({"fileFormatVersion": "1.0.0", "itemInfoEntries": {"a": {"path": path}}, "rootModelIdentifier": "a"}).encode()


def paddle(operator=b"relu"):
    return message((1, message((1, 0), (2, -1), (4, message((3, b"feed"))), (4, message((3, operator))))), (4, message((1, 0))))


def paddle_parameters():
    description = message((1, 5), (2, 1), (2, 2))
    return bytes(16) + struct.pack("<I", len(description)) + description + bytes(8)


def mxnet(operator="softmax"):
    nodes = [{"op": "null", "name": "x", "inputs": []}, {"op": operator, "name": "y", "inputs": [[0, 0, 0]]}]
    return json.dumps({"nodes": nodes, "arg_nodes": [0], "node_row_ptr": [0, 1, 2], "heads": [[1, 0, 0]]}).encode()


def honest():
    """Files by name, each of which is safe."""
    return {"xgboost.json": json.dumps(xgboost()).encode(), "xgboost.ubj": ubjson(xgboost()), "lightgbm.txt": lightgbm(),
            "catboost.cbm": catboost(), "model.pmml": pmml(), "openvino.xml": openvino(), "coreml.mlmodel": coreml(),
            "program.mlmodel": coreml_program(), "weight.bin": coreml_weights(), "Manifest.json": coreml_manifest(),
            "paddle.pdmodel": paddle(), "paddle.pdiparams": paddle_parameters(), "mxnet.json": mxnet()}


def hostile():
    """Files by name, none of which is safe."""
    return {"xgboost.json": json.dumps(xgboost((5000, -1, -1), "mine")).encode(), "xgboost.ubj": ubjson(xgboost((0, -1, -1))),
            "lightgbm.txt": lightgbm("7 -1", "[forcedsplits_filename: /etc/passwd]\n"), "catboost.cbm": catboost((0, 3)),
            "entity.pmml": pmml("", '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'),
            "function.pmml": pmml('<Apply function="com.example.Run"/>'), "openvino.xml": openvino("MyLayer", "18446744073709551615"),
            "coreml.mlmodel": coreml((500, message((10, b"MyLayer")))), "program.mlmodel": coreml_program(b"../../etc/passwd"),
            "Manifest.json": coreml_manifest("/etc/passwd"), "paddle.pdmodel": paddle(b"py_func"), "mxnet.json": mxnet("_Native"),
            "engine.plan": b"ptrt" + bytes(20)}

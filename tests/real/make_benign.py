#!/usr/bin/env python3
"""Writes model files of well-known libraries, as their own tools save them, for benign.py.

    python3 make_benign.py FOLDER

What is not installed is left out and named. Weights are random; nothing is downloaded.
"""

import collections
import io
import os
import pickle
import random
import sys
import traceback
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("YOLO_OFFLINE", "true")
warnings.filterwarnings("ignore")

FOLDER = sys.argv[1] if len(sys.argv) > 1 else "."
MADE, LEFT_OUT = [], {}


def write(name, value, **options):
    """torch.save, under a name that says what it is."""
    import torch
    torch.save(value, os.path.join(FOLDER, name), **options)
    MADE.append(name)


def dump(name, value, protocol=None):
    with open(os.path.join(FOLDER, name), "wb") as file:
        pickle.dump(value, file, protocol=protocol)
    MADE.append(name)


def make_state_dicts():
    import torch
    from torch import nn
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    write("state_dict.pt", model.state_dict())
    write("state_dict.legacy.pt", model.state_dict(), _use_new_zipfile_serialization=False)
    write("module.pt", model)
    write("module.legacy.pt", model, _use_new_zipfile_serialization=False)
    for protocol in (2, 3, 4, 5):
        write(f"state_dict.protocol_{protocol}.pt", model.state_dict(), pickle_protocol=protocol)
    write("tensors.pt", {str(d): torch.zeros(2, dtype=d) for d in (
        torch.float16, torch.bfloat16, torch.int8, torch.bool, torch.complex64)})
    write("sparse.pt", torch.eye(3).to_sparse())
    write("quantized.pt", torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.quint8))


def make_layers():
    import torch
    from torch import nn
    layers = [nn.Linear(2, 2), nn.Conv1d(1, 1, 1), nn.Conv3d(1, 1, 1), nn.ConvTranspose2d(1, 1, 1),
              nn.LSTM(2, 2, 2, bidirectional=True), nn.GRU(2, 2), nn.RNN(2, 2), nn.LSTMCell(2, 2),
              nn.Embedding(3, 2), nn.EmbeddingBag(3, 2), nn.MultiheadAttention(4, 2),
              nn.TransformerEncoderLayer(4, 2, 8), nn.Transformer(4, 2, 1, 1, 8), nn.LayerNorm(2),
              nn.GroupNorm(1, 2), nn.InstanceNorm2d(2, affine=True), nn.PReLU(), nn.Bilinear(2, 2, 2),
              nn.ParameterList([torch.ones(1)]), nn.ParameterDict({"a": nn.Parameter(torch.ones(1))}),
              nn.ModuleDict({"a": nn.ReLU()}), nn.Upsample(scale_factor=2), nn.CrossEntropyLoss(),
              nn.DataParallel(nn.Linear(1, 1)), nn.AdaptiveAvgPool2d(1), nn.Softmax(1)]
    for layer in layers:
        write(f"torch.nn.{type(layer).__name__}.pt", layer)


def make_training():
    import numpy
    import torch
    from torch import nn
    model = nn.Linear(3, 2)
    for name in ("SGD", "Adam", "AdamW", "Adagrad", "RMSprop", "Adamax", "NAdam", "RAdam", "LBFGS"):
        optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.1)

        def closure(current=optimizer):
            current.zero_grad()
            loss = model(torch.ones(1, 3)).sum()
            loss.backward()
            return loss
        optimizer.step(closure)
        write(f"optimizer.{name}.pt", optimizer.state_dict())
        if name in ("SGD", "Adam", "AdamW"):
            write(f"optimizer.whole.{name}.pt", optimizer)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for make in (lambda o: torch.optim.lr_scheduler.StepLR(o, 2),
                 lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 5),
                 lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1.0, 10),
                 lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1, 3]),
                 lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o)):
        scheduler = make(optimizer)
        write(f"scheduler.{type(scheduler).__name__}.pt", scheduler.state_dict())
    write("checkpoint.pt", {
        "epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict(),
        "best": numpy.float64(0.5), "history": numpy.arange(4.0),
        "losses": collections.defaultdict(list, {"train": [1.0, 0.5]}),
        "seen": collections.Counter("aab"), "window": collections.deque([1, 2], maxlen=5)})
    write("rng_state.pth", {
        "python": random.getstate(), "numpy": numpy.random.get_state(),
        "cpu": torch.random.get_rng_state()})
    dump("generator.pkl", numpy.random.default_rng(1))
    dump("random_state.pkl", numpy.random.RandomState(1))
    write("swa.pt", torch.optim.swa_utils.AveragedModel(model).state_dict())


def make_arrays():
    import numpy
    arrays = {"f4": numpy.ones((2, 3), "f4"), "i8": numpy.arange(4), "bool": numpy.array([True]),
              "text": numpy.array(["a", "bc"]), "bytes": numpy.array([b"a"]),
              "dates": numpy.array(["2024-01-01"], "M8[D]"), "fortran": numpy.ones((2, 3), order="F"),
              "objects": numpy.array([{"a": 1}, None], dtype=object), "scalar": numpy.float32(1),
              "complex": numpy.ones(2, "c8"), "empty": numpy.zeros((0, 3)),
              "structured": numpy.zeros(2, [("a", "f4"), ("b", "i4", (2,))]),
              "masked": numpy.ma.masked_array([1, 2], [0, 1])}
    for name, value in arrays.items():
        for protocol in (2, 4, 5):
            dump(f"numpy.{name}.{protocol}.pkl", value, protocol)
    numpy.savez(os.path.join(FOLDER, "arrays.npz"), **{k: arrays[k] for k in ("f4", "i8", "text")})
    numpy.save(os.path.join(FOLDER, "objects.npy"), arrays["objects"], allow_pickle=True)
    MADE.extend(["arrays.npz", "objects.npy"])


def make_sklearn():
    import joblib
    import numpy
    import sklearn.cluster
    import sklearn.compose
    import sklearn.decomposition
    import sklearn.ensemble
    import sklearn.feature_extraction.text
    import sklearn.gaussian_process
    import sklearn.linear_model
    import sklearn.model_selection
    import sklearn.naive_bayes
    import sklearn.neighbors
    import sklearn.neural_network
    import sklearn.pipeline
    import sklearn.preprocessing
    import sklearn.svm
    import sklearn.tree
    points = numpy.random.RandomState(0).rand(40, 3)
    labels = (points[:, 0] > 0.5).astype(int)
    estimators = [
        sklearn.linear_model.LinearRegression(), sklearn.linear_model.LogisticRegression(),
        sklearn.linear_model.Ridge(), sklearn.linear_model.Lasso(),
        sklearn.linear_model.SGDClassifier(), sklearn.linear_model.Perceptron(),
        sklearn.svm.SVC(probability=True), sklearn.svm.LinearSVC(), sklearn.svm.SVR(),
        sklearn.tree.DecisionTreeClassifier(), sklearn.tree.DecisionTreeRegressor(),
        sklearn.ensemble.RandomForestClassifier(n_estimators=4), sklearn.ensemble.ExtraTreesRegressor(n_estimators=3),
        sklearn.ensemble.GradientBoostingClassifier(n_estimators=3),
        sklearn.ensemble.HistGradientBoostingClassifier(max_iter=3),
        sklearn.ensemble.AdaBoostClassifier(n_estimators=3), sklearn.ensemble.IsolationForest(n_estimators=4),
        sklearn.naive_bayes.GaussianNB(), sklearn.neighbors.KNeighborsClassifier(),
        sklearn.neighbors.KNeighborsClassifier(algorithm="brute"),
        sklearn.cluster.KMeans(2, n_init=1), sklearn.cluster.DBSCAN(),
        sklearn.decomposition.PCA(2), sklearn.decomposition.TruncatedSVD(2),
        sklearn.neural_network.MLPClassifier(max_iter=5),
        sklearn.preprocessing.StandardScaler(), sklearn.preprocessing.MinMaxScaler(),
        sklearn.preprocessing.PolynomialFeatures(), sklearn.preprocessing.QuantileTransformer(n_quantiles=5),
        sklearn.pipeline.make_pipeline(sklearn.preprocessing.StandardScaler(),
                                       sklearn.linear_model.LogisticRegression()),
        sklearn.model_selection.GridSearchCV(sklearn.linear_model.Ridge(), {"alpha": [0.1, 1]}),
        sklearn.gaussian_process.GaussianProcessRegressor(),
    ]
    for number, estimator in enumerate(estimators):
        name = f"sklearn.{type(estimator).__name__}.{number}"
        estimator.fit(points, labels)
        dump(f"{name}.pkl", estimator)
        joblib.dump(estimator, os.path.join(FOLDER, f"{name}.joblib"))
        MADE.append(f"{name}.joblib")
    words = sklearn.feature_extraction.text.TfidfVectorizer().fit(["a model", "a file"])
    dump("sklearn.TfidfVectorizer.pkl", words)
    dump("sklearn.LabelEncoder.pkl", sklearn.preprocessing.LabelEncoder().fit(["a", "b"]))
    dump("sklearn.OneHotEncoder.pkl", sklearn.preprocessing.OneHotEncoder().fit([["a"], ["b"]]))


def make_script():
    import torch
    from torch import nn
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU()).eval()
    torch.jit.script(model).save(os.path.join(FOLDER, "scripted.pt"))
    torch.jit.trace(model, torch.ones(1, 2)).save(os.path.join(FOLDER, "traced.pt"))
    MADE.extend(["scripted.pt", "traced.pt"])


def make_torchvision():
    import torchvision
    for name in ("resnet18", "mobilenet_v3_small", "efficientnet_b0", "vit_b_16", "densenet121",
                 "squeezenet1_0", "shufflenet_v2_x0_5", "swin_t", "convnext_tiny", "googlenet"):
        model = torchvision.models.get_model(name, weights=None)
        write(f"torchvision.{name}.pt", model.half())


def make_timm():
    import timm
    for name in ("resnet10t", "vit_tiny_patch16_224", "efficientnet_lite0", "mobilenetv3_small_050",
                 "convnext_atto", "mixer_s32_224", "deit_tiny_patch16_224", "regnetx_002"):
        write(f"timm.{name}.pt", timm.create_model(name, pretrained=False).half())


def make_transformers():
    import transformers
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 16, "vocab_size": 32, "max_position_embeddings": 16}
    for config, model in (("BertConfig", "BertModel"), ("RobertaConfig", "RobertaForMaskedLM"),
                          ("LlamaConfig", "LlamaForCausalLM"), ("MistralConfig", "MistralModel"),
                          ("Qwen2Config", "Qwen2ForCausalLM"), ("ElectraConfig", "ElectraModel")):
        write(f"transformers.{model}.pt",
              getattr(transformers, model)(getattr(transformers, config)(**small)))
    gpt = transformers.GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=32, n_positions=16)
    write("transformers.GPT2LMHeadModel.pt", transformers.GPT2LMHeadModel(gpt))
    dump("transformers.BertConfig.pkl", transformers.BertConfig())
    write("training_args.bin", transformers.TrainingArguments(output_dir="/tmp/x", use_cpu=True))
    write("seq2seq_training_args.bin",
          transformers.Seq2SeqTrainingArguments(output_dir="/tmp/x", use_cpu=True))


def make_trainer():
    import torch
    import transformers
    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        vocab_size=32, max_position_embeddings=16)
    model = transformers.BertForSequenceClassification(config)
    data = [{"input_ids": torch.ones(4, dtype=torch.long), "labels": torch.tensor(0)}] * 4
    out = os.path.join(FOLDER, "trainer")
    arguments = transformers.TrainingArguments(
        output_dir=out, max_steps=2, save_steps=2, report_to=[], use_cpu=True, save_strategy="steps")
    transformers.Trainer(model=model, args=arguments, train_dataset=data).train()
    for name in os.listdir(os.path.join(out, "checkpoint-2")):
        if name.endswith((".pt", ".pth", ".bin")):
            MADE.append(f"trainer/checkpoint-2/{name}")


def make_lightning():
    import pytorch_lightning
    import torch

    class Model(pytorch_lightning.LightningModule):
        def __init__(self, width=2, names=("a", "b")):
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(2, width)

        def training_step(self, batch, _):
            return self.layer(batch).sum()

        def configure_optimizers(self):
            optimizer = torch.optim.Adam(self.parameters())
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]

    trainer = pytorch_lightning.Trainer(
        max_steps=2, logger=False, accelerator="cpu", enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=os.path.join(FOLDER, "lightning"),
        callbacks=[pytorch_lightning.callbacks.ModelCheckpoint(
            dirpath=os.path.join(FOLDER, "lightning"), filename="last"),
            pytorch_lightning.callbacks.EarlyStopping("loss", strict=False, check_on_train_epoch_end=False)])
    trainer.fit(Model(), torch.utils.data.DataLoader(torch.ones(4, 2)))
    trainer.save_checkpoint(os.path.join(FOLDER, "lightning.ckpt"))
    MADE.append("lightning.ckpt")


def make_ultralytics():
    import torch
    from ultralytics.nn.tasks import DetectionModel, SegmentationModel
    from ultralytics.utils import IterableSimpleNamespace
    for name, make, config in (("yolov8n", DetectionModel, "yolov8n.yaml"),
                               ("yolo11n", DetectionModel, "yolo11n.yaml"),
                               ("yolov8n-seg", SegmentationModel, "yolov8n-seg.yaml")):
        model = make(config, verbose=False).half()
        write(f"ultralytics.{name}.pt", {
            "epoch": -1, "best_fitness": None, "model": model, "ema": None, "updates": None,
            "optimizer": None, "train_args": {"task": "detect", "imgsz": 640}, "date": "2026-01-01",
            "version": "8.3.0"})


def main():
    os.makedirs(FOLDER, exist_ok=True)
    for name, make in list(globals().items()):
        if not name.startswith("make_"):
            continue
        try:
            make()
        except Exception as error:  # the library is not here, or another release
            LEFT_OUT[name] = f"{type(error).__name__}: {error}".splitlines()[0]
            if "-v" in sys.argv:
                traceback.print_exc()
    with open(os.path.join(FOLDER, "made.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(MADE) + "\n")
    for name, reason in LEFT_OUT.items():
        print(f"SKIPPED: {name.removeprefix('make_')}: {reason}")
    print(f"{len(MADE)} files")


if __name__ == "__main__":
    main()

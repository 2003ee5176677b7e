"""Fitted estimators of scikit-learn, as pickles and by joblib."""

import importlib
import pickle

import numpy

from kinds import flatten, kind


def samples():
    random = numpy.random.RandomState(3)
    x = random.randn(40, 3)
    return x, (x[:, 0] + 0.1 * x[:, 1] > 0).astype(int)


ESTIMATORS = {
    "logistic_regression": ("linear_model.LogisticRegression", {}),
    "ridge": ("linear_model.Ridge", {}),
    "sgd": ("linear_model.SGDClassifier", {"random_state": 0}),
    "scaler": ("preprocessing.StandardScaler", {}),
    "pca": ("decomposition.PCA", {"n_components": 2}),
    "kmeans": ("cluster.KMeans", {"n_clusters": 2, "n_init": 1, "random_state": 0}),
    "svc": ("svm.SVC", {}),
    "naive_bayes": ("naive_bayes.GaussianNB", {}),
    "neighbours": ("neighbors.KNeighborsClassifier", {"algorithm": "brute"}),
    "tree": ("tree.DecisionTreeClassifier", {"max_depth": 3}),
    "forest": ("ensemble.RandomForestClassifier", {"n_estimators": 3, "random_state": 0}),
    "boosting": ("ensemble.GradientBoostingClassifier", {"n_estimators": 3, "random_state": 0}),
    "perceptron": ("neural_network.MLPClassifier",
                   {"hidden_layer_sizes": (4,), "max_iter": 5, "random_state": 0}),
}


def fitted(path, options):
    module, name = path.split(".")
    estimator = getattr(importlib.import_module(f"sklearn.{module}"), name)(**options)
    return estimator.fit(*samples())


def by_pickle(k, estimator):
    with open(k.path(".pkl"), "wb") as file:
        pickle.dump(estimator, file)
    with open(k.path(".pkl"), "rb") as file:
        return pickle.load(file)


def by_joblib(k, estimator):
    import joblib

    joblib.dump(estimator, k.path(".joblib"), compress=1)
    return joblib.load(k.path(".joblib"))


def _estimator(label, make, needs=("sklearn", "joblib")):
    @kind(f"sklearn.{label}.pickle", needs=needs)
    def pickled(k):
        k.expect(flatten(by_pickle(k, make())))

    @kind(f"sklearn.{label}.joblib", needs=needs)
    def dumped(k):
        k.expect(flatten(by_joblib(k, make())))


for _label, (_path, _options) in ESTIMATORS.items():
    _estimator(_label, lambda path=_path, options=_options: fitted(path, options))


def pipeline():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression()).fit(*samples())


def vectorizer():
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer().fit(["a cat", "the dog and the cat"])


_estimator("pipeline", pipeline)
_estimator("vectorizer", vectorizer)

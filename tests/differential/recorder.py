"""CPython's unpicklers with find_class replaced: they record what they would import and call.

What find_class returns is inert: a class that can be instantiated, called, built and filled, and that
does nothing but record. Nothing is imported.
"""

import copyreg
import io
import itertools
import pickle


class Recorder:
    """One unpickling: the events, how it ended, and where."""

    def __init__(self, unpickler, stream):
        self.events = []
        self.registered = []
        self.file = io.BytesIO(stream)
        recorder = self

        class Unpickler(unpickler):
            def find_class(self, module, name):
                return recorder.find_class(module, name)

            def persistent_load(self, pid):
                recorder.events.append(("persistent",))
                return object.__new__(recorder.make("persistent", "object"))

        # The default encoding refuses what loaders that pass another one take: torch.load does.
        self.unpickler = Unpickler(self.file, encoding="latin1", buffers=itertools.repeat(b""))

    def run(self):
        try:
            self.unpickler.load()
            self.end = "STOP"
        except RecursionError:
            raise
        except BaseException as error:  # whatever the stream makes it raise ends the run
            self.end = "BROKEN"
            self.error = f"{type(error).__name__}: {error}"
        finally:
            for module, name, code in self.registered:
                try:
                    copyreg.remove_extension(module, name, code)
                except ValueError:
                    pass
            copyreg.clear_extension_cache()
        return self

    def find_class(self, module, name):
        self.events.append(("import", module, name))
        return self.make(module, name)

    def make(self, module, name):
        recorder = self

        class Meta(type):
            def __call__(cls, *args, **kwargs):
                recorder.called(module, name, args)
                return object.__new__(cls)

            def __getattr__(cls, attribute):
                raise AttributeError(attribute)

        class Inert(metaclass=Meta):
            def __new__(cls, *args, **kwargs):
                recorder.called(module, name, args)
                return object.__new__(cls)

            def __call__(self, *args, **kwargs):
                recorder.called("", "", args)
                return object.__new__(type(self))

            def __setstate__(self, state):
                recorder.events.append(("build",))

            def __setitem__(self, key, value):
                pass

            def append(self, item):
                pass

            def extend(self, items):
                pass

            def add(self, item):
                pass

        return Inert

    def called(self, module, name, args):
        self.events.append(("call",))
        if module in ("copyreg", "copy_reg") and name == "add_extension" and len(args) == 3:
            copyreg.add_extension(*args)  # raises where the real function would
            self.registered.append(args)


def record(unpickler, stream):
    return Recorder(unpickler, stream).run()


C = pickle.Unpickler
PYTHON = pickle._Unpickler

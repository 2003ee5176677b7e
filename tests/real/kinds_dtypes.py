"""Element types: those that safetensors has, those that it has not, and casts."""

import torch

from kinds import kind, load_torch


def named(*names):
    return [getattr(torch, name) for name in names]


PLAIN = named("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8",
              "uint8", "bool", "complex64")


@kind("dtype.plain")
def plain(k):
    numbers = torch.tensor([[0, 1], [1, 0], [2, 5]])
    k.expect(k.save({str(d): numbers.to(d) for d in PLAIN}))


@kind("dtype.plain_strided")
def plain_strided(k):
    numbers = torch.arange(24).view(4, 6)
    k.expect(k.save({str(d): numbers.to(d).t()[::2] for d in PLAIN}))


@kind("dtype.unsigned", since=(2, 3))
def unsigned(k):
    largest = {"uint16": 2**16, "uint32": 2**32, "uint64": 2**64}
    k.expect(k.save({n: torch.tensor([0, 1, m - 1], dtype=getattr(torch, n)).view(3, 1).t()
                     for n, m in largest.items()}))


def _all_bytes(*names):
    every = torch.arange(256, dtype=torch.int16).to(torch.uint8)
    return {name: every.view(getattr(torch, name)).view(16, 16) for name in names}


@kind("dtype.float8", since=(2, 2))
def float8(k):
    k.expect(k.save(_all_bytes("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz",
                               "float8_e5m2fnuz")))


@kind("dtype.float8_strided", since=(2, 2))
def float8_strided(k):
    k.expect(k.save({n: t.t()[3:] for n, t in _all_bytes("float8_e4m3fn", "float8_e5m2").items()}))


@kind("dtype.float8_e8m0", since=(2, 7))
def float8_e8m0(k):
    k.expect(k.save(_all_bytes("float8_e8m0fnu")))


@kind("dtype.float4", since=(2, 8))
def float4(k):
    k.expect(k.save(_all_bytes("float4_e2m1fn_x2")))


@kind("dtype.complex128")
def complex128(k):
    k.save({"fine": torch.ones(2), "double": torch.ones(2, dtype=torch.complex128)})
    k.refuse("double", "complex128|C128")


@kind("dtype.complex32", since=(2, 0))
def complex32(k):
    k.save({"fine": torch.ones(2), "half": torch.ones(2, dtype=torch.complex32)})
    k.refuse("half", "complex32|C32")


@kind("dtype.bits8", since=(2, 1))
def bits8(k):
    k.save({"fine": torch.ones(2), "raw": torch.arange(4).byte().view(torch.bits8)})
    k.refuse("raw", "bits8")


def roundings():
    """Numbers that a cast rounds up, down, to even, to infinity and to zero; no NaN, whose bits
    differ between the kernels of torch."""
    near = [1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 1 + 2.0**-9 + 2.0**-30]
    far = [65504, 65519.99, 65520, 1e38, 3.4e38, 1e300, float("inf")]
    small = [6e-8, 2.9e-8, 3e-8, 6.1e-5, 1e-40, 9.2e-41, 1e-46, 1e-310, 0.0]
    # Twice rounded, as torch does it, F64 to F16 is not what one rounding gives.
    double = [1 + 2.0**-11 + 2.0**-40, 1 + 2.0**-8 + 2.0**-40]
    every = near + far + small + double
    wide = torch.tensor(every + [-x for x in every], dtype=torch.float64)
    return {
        "f64": wide, "f32": wide.float(), "f16": wide.half(), "bf16": wide.bfloat16(),
        "strided": wide.float().view(2, -1).t(), "i32": torch.arange(5, dtype=torch.int32),
        "bool": torch.tensor([True]), "c64": torch.tensor([1 + 2j]), "empty": torch.zeros(0)}


@kind("dtype.cast")
def cast(k):
    loaded = k.save(roundings())
    for name, dtype in (("f32", torch.float32), ("f16", torch.float16), ("bf16", torch.bfloat16)):
        k.expect(loaded, "--dtype", name, variant=name, dtype=dtype)


@kind("dtype.cast_float8", since=(2, 2))
def cast_float8(k):
    """Widened exactly; NaNs are left out, as above."""
    every = _all_bytes("float8_e4m3fn", "float8_e5m2")
    finite = {n: t.flatten()[~t.flatten().float().isnan()].clone() for n, t in every.items()}
    torch.save(finite, k.path())
    k.expect(load_torch(k.path()), "--dtype", "f32", dtype=torch.float32)

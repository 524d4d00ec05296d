"""A source, 50 SQs that take each of its samples, one that fuses them all, a sink: 53 firings a sample."""

from benchmarks.peers.ran import ran

from ticktalk import GRAPHify, SQify, STREAMify, TTEmpty


@STREAMify
def source(trigger):
    ran()
    return 1


@SQify
def branch(x, k=0):
    ran()
    return x + k


# fmt: off
@SQify
def fuse(
    a0, a1, a2, a3, a4, a5, a6, a7, a8, a9,
    a10, a11, a12, a13, a14, a15, a16, a17, a18, a19,
    a20, a21, a22, a23, a24, a25, a26, a27, a28, a29,
    a30, a31, a32, a33, a34, a35, a36, a37, a38, a39,
    a40, a41, a42, a43, a44, a45, a46, a47, a48, a49,
):
    ran()
    return sum(
        (
            a0, a1, a2, a3, a4, a5, a6, a7, a8, a9,
            a10, a11, a12, a13, a14, a15, a16, a17, a18, a19,
            a20, a21, a22, a23, a24, a25, a26, a27, a28, a29,
            a30, a31, a32, a33, a34, a35, a36, a37, a38, a39,
            a40, a41, a42, a43, a44, a45, a46, a47, a48, a49,
        )
    )
# fmt: on


@SQify
def sink(x):
    ran()
    return TTEmpty()


@GRAPHify
def fan_out(trigger):
    x = source(trigger, TTPeriod=1000)
    sink(fuse(*[branch(x, k=i) for i in range(50)]))

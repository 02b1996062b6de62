"""The ways written for other processors than this one, emulated: their answers are this one's, bit by bit."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from models.scan import available_kernels
from tests.models.catalogues import assert_equal
from tests.models.kernel.asking import HERE, ask, build, random_questions

N_CATALOGUES = 40

ARM_COMPILER, ARM_EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
WITH_DOT_PRODUCTS, WITHOUT = "max", "cortex-a53"
"""Processors that qemu plays: all there is, and the first 64-bit ones."""

needs_arm = pytest.mark.skipif(
    not shutil.which(ARM_COMPILER) or not shutil.which(ARM_EMULATOR),
    reason="Debian's gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user are not installed",
)


@pytest.fixture(scope="session")
def arm_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cross-compiled, static, so that no other file of that processor's is needed."""
    return build(tmp_path_factory.mktemp("arm") / "ask", ARM_COMPILER, "-O3", "-static")


def assert_same_answers(program: Sequence[str | Path], kernel: str) -> None:
    for seed in range(N_CATALOGUES):
        catalogue, questions = random_questions(seed)
        for question, answer in zip(questions, ask(program, kernel, catalogue, *questions), strict=True):
            assert answer.outcome == 0
            assert_equal(answer.ranked, question.answer(catalogue))


@needs_arm
@pytest.mark.parametrize("kernel", ["neon-dot", "neon", "plain"])
def test_arm_processor_gives_the_same_bits(arm_program: Path, kernel: str) -> None:
    assert_same_answers([ARM_EMULATOR, "-cpu", WITH_DOT_PRODUCTS, arm_program], kernel)


@needs_arm
@pytest.mark.parametrize(("processor", "has_dot_products"), [(WITH_DOT_PRODUCTS, True), (WITHOUT, False)])
def test_dot_products_are_used_by_the_arm_processors_that_have_them(
    arm_program: Path, processor: str, has_dot_products: bool
) -> None:
    catalogue, questions = random_questions(0)
    program: list[str | Path] = [ARM_EMULATOR, "-cpu", processor, arm_program]
    (best, *_) = ask(program, "best", catalogue, *questions)
    assert_equal(best.ranked, questions[0].answer(catalogue))
    if has_dot_products:
        ask(program, "neon-dot", catalogue, *questions)
    else:
        with pytest.raises(AssertionError, match="ended with 4"):
            ask(program, "neon-dot", catalogue, *questions)


@pytest.mark.skipif("avx2" not in available_kernels(), reason="what stands in for AVX-512 needs AVX2")
@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_way_for_avx512_gives_the_same_bits_where_its_instructions_are_emulated(tmp_path: Path) -> None:
    stand_in = ["-DTARGET_vnni=", "-D__builtin_cpu_supports(name)=1", "-include", str(HERE / "avx512.h")]
    assert_same_answers([build(tmp_path / "ask", "gcc", "-O2", "-mavx2", *stand_in)], "vnni")


@pytest.mark.skipif(not shutil.which("clang"), reason="clang is not installed")
@pytest.mark.parametrize("kernel", available_kernels())
def test_clang_builds_the_same_kernel(tmp_path: Path, kernel: str) -> None:
    assert_same_answers([build(tmp_path / "ask", "clang", "-O3")], kernel)


@needs_arm
@pytest.mark.skipif(not shutil.which("clang"), reason="clang is not installed")
@pytest.mark.parametrize("flags", [(), ("-march=armv8.2-a+dotprod",)], ids=["any", "with dot products"])
def test_clang_builds_the_same_kernel_for_arm(tmp_path: Path, flags: tuple[str, ...]) -> None:
    program = build(tmp_path / "ask", "clang", "--target=aarch64-linux-gnu", "-static", "-O3", *flags)
    assert_same_answers([ARM_EMULATOR, "-cpu", WITH_DOT_PRODUCTS, program], "best")


def test_this_processor_has_the_way_that_its_kind_always_has() -> None:
    """Every 64-bit ARM has NEON; whether an x86 has AVX2, Linux says too."""
    cpuinfo = Path("/proc/cpuinfo")
    has_avx2 = cpuinfo.exists() and " avx2" in cpuinfo.read_text()
    wanted = "neon" if platform.machine() in ("aarch64", "arm64") else "avx2" if has_avx2 else "plain"
    assert wanted in available_kernels()

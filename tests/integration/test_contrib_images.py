"""Images, drawn by Pillow from real files."""

import os
import struct
import sys
import zlib
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from headrace import Dead, JobDead, Retry
from headrace.contrib import images
from headrace.contrib.images.drawing import draw
from headrace.worker.worker import Worker

PLACE, ORIENTATION = 0x8825, 0x0112
FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "avif": "AVIF"}
MOST = 1_000_000
CANARY = b"of the camera"


def work(source: str, target: str, *steps: Any, **more: Any) -> images.Work:
    return images.Work(source=source, target=target, steps=[*steps], **more)


def drawn(folder: Path, one: images.Work, most: int = MOST) -> images.Picture:
    return draw(one, folder, "the-job", most)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def save(folder: Path, name: str, size: tuple[int, int] = (300, 200), **more: Any) -> None:
    """Red above, blue below; with a place, a comment and a profile."""
    image = Image.new("RGB", size, "red")
    image.paste("blue", (0, size[1] // 2, *size))
    exif = Image.Exif()
    exif[0x010F] = CANARY.decode()
    exif.get_ifd(PLACE)[1] = "N"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(folder / name, exif=exif, icc_profile=profile, **more)


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_each_format_is_made_of_each(tmp_path: Path, source: str, target: str) -> None:
    save(tmp_path, f"a.{source}")
    assert CANARY in (tmp_path / f"a.{source}").read_bytes()
    told = drawn(tmp_path, work(f"a.{source}", f"out/b.{target}"))
    written = tmp_path / f"out/b.{target}"
    assert told == images.Picture(
        f"out/b.{target}", FORMATS[target], 300, 200, written.stat().st_size
    )
    with Image.open(written) as image:
        assert (image.format, image.size, dict(image.getexif())) == (
            FORMATS[target],
            (300, 200),
            {},
        )
        red, _, blue = image.convert("RGB").getpixel((150, 20))  # type: ignore[misc] # it is RGB
        assert (red > 200, blue < 50) == (True, True)
        assert "icc_profile" in image.info
    assert CANARY not in written.read_bytes()


def test_comments_are_left_out(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", CANARY.decode())
    text.add_itxt("XML:com.adobe.xmp", CANARY.decode())
    Image.new("RGB", (5, 5)).save(tmp_path / "a.png", pnginfo=text)
    Image.new("RGB", (5, 5)).save(tmp_path / "a.jpg", comment=CANARY, xmp=CANARY)
    for source in ("a.png", "a.jpg"):
        for target in FORMATS:
            drawn(tmp_path, work(source, f"b.{target}"))
            assert CANARY not in (tmp_path / f"b.{target}").read_bytes()


def test_steps_are_done_in_order(tmp_path: Path) -> None:
    save(tmp_path, "a.png")
    one = work("a.png", "b.png", images.Crop(0, 100, 100, 100), images.Thumbnail(50, 80))
    assert (drawn(tmp_path, one).width, drawn(tmp_path, one).height) == (50, 50)
    with Image.open(tmp_path / "b.png") as image:
        assert image.getpixel((25, 25)) == (0, 0, 255)
    told = drawn(tmp_path, work("a.png", "c.png", images.Resize(7, 9)))
    assert (told.width, told.height) == (7, 9)
    told = drawn(tmp_path, work("a.png", "d.png", images.Thumbnail(1000, 1000)))
    assert (told.width, told.height) == (300, 200)


def test_an_image_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.new("RGB", (300, 200)).save(tmp_path / "a.jpg", exif=exif)
    told = drawn(tmp_path, work("a.jpg", "b.jpg"))
    assert (told.width, told.height) == (200, 300)


def test_what_is_clear_stays_so_and_is_white_in_a_jpeg(tmp_path: Path) -> None:
    Image.new("RGBA", (5, 5), (255, 0, 0, 0)).save(tmp_path / "a.png")
    palette = Image.new("P", (5, 5))
    palette.save(tmp_path / "p.png", transparency=0)
    for source in ("a.png", "p.png"):
        drawn(tmp_path, work(source, "b.webp"))
        drawn(tmp_path, work(source, "b.jpg"))
        with Image.open(tmp_path / "b.webp") as clear, Image.open(tmp_path / "b.jpg") as white:
            assert clear.convert("RGBA").getpixel((2, 2))[3] == 0  # type: ignore[index] # of RGBA
            assert white.getpixel((2, 2)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr"])
def test_other_colours(tmp_path: Path, mode: str) -> None:
    ending = "jpg" if mode in {"CMYK", "YCbCr"} else "png"
    Image.new(mode, (5, 5)).save(tmp_path / f"a.{ending}")
    for target in FORMATS:
        assert drawn(tmp_path, work(f"a.{ending}", f"b.{target}")).width == 5


def test_colours_that_are_not_taken(tmp_path: Path) -> None:
    Image.new("I;16", (5, 5)).save(tmp_path / "a.png")
    with pytest.raises(Dead, match="has colours of the kind I;16"):
        drawn(tmp_path, work("a.png", "b.png"))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes, whose pixels would take gigabytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100_000)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    "size", [(1001, 1000), (9500, 9500), (60_000, 60_000), (2**31 - 1, 2**31 - 1)]
)
def test_a_bomb_is_not_decoded(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(Image.Image, "load", decode)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", decode)
    (tmp_path / "a.png").write_bytes(bomb(*size))
    with pytest.raises(Dead, match=r'"a.png" has more than 1,000,000 pixels'):
        drawn(tmp_path, work("a.png", "b.png"))


def test_nothing_larger_than_allowed_is_made(tmp_path: Path) -> None:
    save(tmp_path, "a.png")
    with pytest.raises(Dead, match="are more pixels than"):
        drawn(tmp_path, work("a.png", "b.png", images.Resize(2000, 2000)))
    with pytest.raises(Dead, match="a part of 200 x 200 at 200, 0 is not inside"):
        drawn(tmp_path, work("a.png", "b.png", images.Crop(200, 0, 200, 200)))
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no image",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        bomb(900, 900)[:60],
        bomb(900, 900),
        b"\xff\xd8\xff\xe0",
        b"RIFF\x24\x00\x00\x00WEBPVP8 ",
    ],
)
def test_what_is_no_image_or_of_a_format_that_is_not_taken(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(Dead, match=r'^"a.png" cannot be read as AVIF, JPEG, PNG, WEBP'):
        drawn(tmp_path, work("a.png", "b.png"))


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM"])
def test_formats_that_are_not_taken_whatever_their_name_says(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (5, 5)).save(tmp_path / "a.png", kind)
    with pytest.raises(Dead, match="cannot be read"):
        drawn(tmp_path, work("a.png", "b.png"))


def test_links_out_of_the_folder_lead_nowhere(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    save(outside, "a.png")
    save(inside, "a.png")
    (inside / "link.png").symlink_to(outside / "a.png")
    (inside / "away").symlink_to(outside)
    for one in (
        work("link.png", "b.png"),
        work("away/a.png", "b.png"),
        work("a.png", "away/b.png"),
    ):
        with pytest.raises(Dead, match="lies outside of the folder"):
            drawn(inside, one)
    assert names(outside) == ["a.png"]


def test_a_target_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, "a.png")
    drawn(tmp_path, work("a.png", "b.png", images.Resize(3, 3)))
    before = (tmp_path / "b.png").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        drawn(tmp_path, work("a.png", "b.png"))
    assert (tmp_path / "b.png").read_bytes() == before
    assert names(tmp_path) == ["a.png", "b.png"]
    with pytest.raises(Retry, match=r'there is no file "c.png"'):
        drawn(tmp_path, work("c.png", "b.png"))


@pytest.fixture
async def pictures(
    migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ModuleType]:
    monkeypatch.setenv("HEADRACE_DATABASE_URL", migrated_url)
    monkeypatch.setenv("PICTURES", str(tmp_path))
    sys.modules.pop("integration.pictures", None)
    module = import_module("integration.pictures")
    async with module.app:
        yield module


async def test_jobs_draw_in_a_process_of_their_own(pictures: ModuleType, tmp_path: Path) -> None:
    save(tmp_path, "a.jpg")
    (tmp_path / "bad.png").write_bytes(bomb(9000, 9000))
    fine = await pictures.draw.enqueue(work("a.jpg", "b.webp", images.Thumbnail(30, 30)))
    bad = await pictures.draw.enqueue(work("bad.png", "c.png"))
    await Worker(pictures.app, {"image-processing": 1}).run(burst=True)
    told = await fine.result()
    assert (told.width, told.height, told.format) == (30, 20, "WEBP")
    with pytest.raises(JobDead, match="has more than 1,000,000 pixels"):
        await bad.result()


def test_ready_made_tasks_belong_to_the_module_that_registers_them(pictures: ModuleType) -> None:
    for task in (pictures.draw, pictures.deliver, pictures.send):
        assert task.importable
        assert task.fn.__module__ == "integration.pictures"

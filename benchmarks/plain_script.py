"""A plain script of a video, to compare with: pictures to jpg files, sound to a wav file, then the models."""

import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from transformers import ClapFeatureExtractor, ClapModel, CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

JPG_RATE, WAV_RATE_HZ = 8, 48_000


class Plain:
    """One video at a time: pictures to jpg, sound to wav, the library's processors, fp32."""

    def __init__(self, picture_model: Path, sound_model: Path) -> None:
        self.clip, self.clap = (
            CLIPModel.from_pretrained(picture_model),
            ClapModel.from_pretrained(sound_model),
        )
        self.images = CLIPImageProcessorPil.from_pretrained(picture_model)
        self.sounds = ClapFeatureExtractor.from_pretrained(sound_model)

    def __call__(self, path: Path) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            jpgs(path, folder)
            wav(path, folder / "sound.wav")
            self.look(sorted(folder.glob("*.jpg")))
            self.listen(folder / "sound.wav")

    @torch.inference_mode()
    def look(self, files: Sequence[Path]) -> torch.Tensor:
        """A picture a second."""
        chosen = (
            np.linspace(0, len(files) - 1, max(1, len(files) // JPG_RATE))
            .round()
            .astype(int)
        )
        pictures = [Image.open(files[i]).convert("RGB") for i in chosen]
        return self.clip.get_image_features(
            **self.images(images=pictures, return_tensors="pt")
        )

    @torch.inference_mode()
    def listen(self, file: Path) -> torch.Tensor:
        """A second at a time, in one batch."""
        with wave.open(str(file)) as sound:
            waveform = np.frombuffer(
                sound.readframes(sound.getnframes()), np.int16
            ) / np.float32(2**15)
        seconds = np.split(waveform, range(WAV_RATE_HZ, len(waveform), WAV_RATE_HZ))
        whole = [second for second in seconds if len(second) >= WAV_RATE_HZ / 2]
        return self.clap.get_audio_features(
            **self.sounds(whole, sampling_rate=WAV_RATE_HZ, return_tensors="pt")
        )


def jpgs(path: Path, folder: Path) -> None:
    """Eight pictures a second."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1
        written = 0
        for frame in container.decode(video=0):
            while frame.time * JPG_RATE >= written:
                frame.to_image().save(folder / f"{written:06d}.jpg")
                written += 1


def wav(path: Path, out: Path) -> None:
    with av.open(str(path)) as container, wave.open(str(out), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(WAV_RATE_HZ)
        resampler = av.AudioResampler("s16", "mono", WAV_RATE_HZ)
        for frame in container.decode(audio=0):
            for part in resampler.resample(frame):
                sound.writeframes(part.to_ndarray().tobytes())

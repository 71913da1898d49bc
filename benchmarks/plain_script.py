"""A plain script as a baseline: frames to jpg files, audio to a wav file, then the models."""

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
    """Encodes one video at a time through jpg and wav files, by the processors of transformers in fp32."""

    def __init__(self, clip_folder: Path, clap_folder: Path) -> None:
        self.clip, self.clap = (
            CLIPModel.from_pretrained(clip_folder),
            ClapModel.from_pretrained(clap_folder),
        )
        self.image_processor = CLIPImageProcessorPil.from_pretrained(clip_folder)
        self.audio_processor = ClapFeatureExtractor.from_pretrained(clap_folder)

    def __call__(self, path: Path) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            jpgs(path, folder)
            wav(path, folder / "sound.wav")
            self.encode_frames(sorted(folder.glob("*.jpg")))
            self.encode_audio(folder / "sound.wav")

    @torch.inference_mode()
    def encode_frames(self, files: Sequence[Path]) -> torch.Tensor:
        """Encode one frame per second."""
        chosen = (
            np.linspace(0, len(files) - 1, max(1, len(files) // JPG_RATE))
            .round()
            .astype(int)
        )
        images = [Image.open(files[i]).convert("RGB") for i in chosen]
        return self.clip.get_image_features(
            **self.image_processor(images=images, return_tensors="pt")
        )

    @torch.inference_mode()
    def encode_audio(self, file: Path) -> torch.Tensor:
        """Encode every second, in one batch."""
        with wave.open(str(file)) as reader:
            waveform = np.frombuffer(
                reader.readframes(reader.getnframes()), np.int16
            ) / np.float32(2**15)
        seconds = np.split(waveform, range(WAV_RATE_HZ, len(waveform), WAV_RATE_HZ))
        whole = [second for second in seconds if len(second) >= WAV_RATE_HZ / 2]
        return self.clap.get_audio_features(
            **self.audio_processor(
                whole, sampling_rate=WAV_RATE_HZ, return_tensors="pt"
            )
        )


def jpgs(path: Path, folder: Path) -> None:
    """Write eight frames per second."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1
        written = 0
        for frame in container.decode(video=0):
            while frame.time * JPG_RATE >= written:
                frame.to_image().save(folder / f"{written:06d}.jpg")
                written += 1


def wav(path: Path, out: Path) -> None:
    """Write the audio as 16-bit mono."""
    with av.open(str(path)) as container, wave.open(str(out), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(WAV_RATE_HZ)
        resampler = av.AudioResampler("s16", "mono", WAV_RATE_HZ)
        for frame in container.decode(audio=0):
            for part in resampler.resample(frame):
                writer.writeframes(part.to_ndarray().tobytes())

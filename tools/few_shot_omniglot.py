"""Few-shot learning on Omniglot: random against semi-hard triplets, scored on whole alphabets that nobody trained on.

A siamese network of four 3 × 3 convolutions is trained on the 964 characters of the 30 background alphabets (each
quarter turn of a character is a class of its own), with batches of N characters × M drawings. Scored by episodes of
one query against five candidates, one of which shows the query's character as somebody else drew it; all from the 20
evaluation alphabets, once with candidates of any of them and once (harder) of the query's own alphabet. Float32, last
weights; runs finished under ``--work`` are not repeated.

    EDGEHAR_DATA=FOLDER OMP_NUM_THREADS=1 python tools/few_shot_omniglot.py --seeds 0 1 \
        --json docs/results/few_shot_omniglot.json
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgehar.datasets.omniglot import Drawings, load_omniglot
from edgehar.files import write_json
from edgehar.models import count_parameters
from edgehar.models.heads import MultiHead
from edgehar.training.episodes import draw_episodes, ranks, top
from edgehar.training.samplers import ClassBatches
from edgehar.training.triplets import triplet_loss

MINING = ("random", "semi_hard")
WAYS = 5
EPISODES = 10_000
EPISODE_SEED = 99
CLASSES, SAMPLES = 32, 4  # of a batch
STEPS = 800
LEARNING_RATE = 2e-3
MARGIN = 0.2
WIDTH = 64  # of the embedding
CHANNELS = 32
LARGEST_SHIFT = 2  # pixels
PUBLISHED = {"random": (0.88, 1.0), "informative": (0.94, 1.0)}  # top-1, top-3: what the network's author reports


class OmniglotCnn(nn.Module):
    """``[N, 28, 28, 1]`` → four times 3 × 3 convolution, batch norm, ReLU, 2 × 2 max pool → flat → ``[N, K]``."""

    total_stride = 16  # pixels

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (1, *[channels] * 3):
            conv = nn.Conv2d(inputs, channels, 3, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(channels, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``[N, K]`` of drawings ``[N, 28, 28, 1]``."""
        return self.head(self.layers(x.permute(0, 3, 1, 2)).flatten(1))


def train(background: Drawings, mining: str, seed: int, steps: int) -> tuple[nn.Module, float]:
    """Return the trained network and the seconds it took."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = MultiHead(OmniglotCnn(CHANNELS, WIDTH), (), WIDTH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    images, classes = with_turns(background)
    sampler = ClassBatches(classes, groups=CLASSES, samples=SAMPLES)
    started, step = time.monotonic(), 0
    while step < steps:
        for batch in sampler.epoch(rng):
            (embeddings,) = network(torch.from_numpy(shifted(images[batch], rng)))
            loss = triplet_loss(embeddings, torch.from_numpy(classes[batch]), MARGIN, mining)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            step += 1
            if step % 250 == 0:
                print(f"{mining} seed {seed}: step {step}, loss {loss.item():.4f}", flush=True)
            if step == steps:
                break
    return network.eval(), time.monotonic() - started


def with_turns(drawings: Drawings) -> tuple[np.ndarray, np.ndarray]:
    """Drawings ``[4 N, 28, 28]`` at the four quarter turns, and a class a character and turn."""
    images = [np.rot90(drawings.images, turns, axes=(1, 2)) for turns in range(4)]
    classes = [drawings.character * 4 + turns for turns in range(4)]
    return np.concatenate(images), np.concatenate(classes)


def shifted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each drawing moved by up to LARGEST_SHIFT pixels, ``[N, 28, 28, 1]``."""
    padded = np.pad(images, ((0, 0), (LARGEST_SHIFT,) * 2, (LARGEST_SHIFT,) * 2))
    out = np.empty((*images.shape, 1), np.float32)
    size = images.shape[1]
    for i, (y, x) in enumerate(rng.integers(0, 2 * LARGEST_SHIFT + 1, (len(images), 2)).tolist()):
        out[i, ..., 0] = padded[i, y : y + size, x : x + size]
    return out


@torch.inference_mode()
def embed(network: nn.Module, images: np.ndarray) -> np.ndarray:
    parts = np.array_split(images[..., None], max(1, len(images) // 512))
    return np.concatenate([network(torch.from_numpy(part))[0].numpy() for part in parts])


def score(embeddings: np.ndarray, drawings: Drawings) -> dict[str, float]:
    """Top-1 and top-3 with candidates of all held-out alphabets, and of the query's alone."""
    rng = np.random.default_rng(EPISODE_SEED)
    drawn = draw_episodes(drawings.character, drawings.drawer, ways=WAYS, shots=1, count=EPISODES, rng=rng)
    everywhere, inside = ranks(embeddings, drawn), []
    alphabets = np.unique(drawings.alphabet)
    for alphabet in alphabets.tolist():
        rows = np.flatnonzero(drawings.alphabet == alphabet)
        count = EPISODES // len(alphabets)
        drawn = draw_episodes(drawings.character[rows], drawings.drawer[rows], ways=WAYS, shots=1, count=count, rng=rng)
        inside.append(ranks(embeddings[rows], drawn))
    within = np.concatenate(inside)
    return {"top1": top(everywhere, 1), "top3": top(everywhere, 3),
            "top1_within": top(within, 1), "top3_within": top(within, 3)}  # fmt: skip


def study(work: Path, seeds: list[int], steps: int, out: Path | None) -> None:
    background, held_out = load_omniglot()
    work.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in seeds:
        for mining in MINING:
            file = work / f"{mining}-{seed}-{steps}.pt"
            if not file.exists():
                network, seconds = train(background, mining, seed, steps)
                torch.save({"weights": network.state_dict(), "seconds": seconds}, file)
            stored = torch.load(file, weights_only=True)
            network = MultiHead(OmniglotCnn(CHANNELS, WIDTH), (), WIDTH).eval()
            network.load_state_dict(stored["weights"])
            row = {"mining": mining, "seed": seed, "steps": steps, "training_s": round(stored["seconds"]),
                   "parameters": count_parameters(network),
                   **score(embed(network, held_out.images), held_out)}  # fmt: skip
            rows.append(row)
            print(row, flush=True)
    if out:
        write_json(out, {"episodes": EPISODES, "ways": WAYS, "rows": rows})


def table(found: dict) -> str:
    """Return a line of each training in Markdown, and under them what others published."""
    columns = ("triplets", "top-1", "top-3", "top-1, all candidates of one alphabet", "top-3")
    lines = [f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"]
    for row in found["rows"]:
        scores = (f"{100 * row[name]:.1f} %" for name in ("top1", "top3", "top1_within", "top3_within"))
        lines.append(f"| {row['mining'].replace('_', '-')} | {' | '.join(scores)} |\n")
    for words, (top1, top3) in PUBLISHED.items():
        lines.append(f"| {words}, published seed result | {100 * top1:.0f} % | {100 * top3:.0f} % | | |\n")
    return "".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("few_shot_omniglot_runs"), help="folder for the networks")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    study(args.work, args.seeds, args.steps, args.json)


if __name__ == "__main__":
    main()

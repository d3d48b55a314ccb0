"""Ctrl-C while a model is trained: the last whole epoch is kept, and training can go on from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from micrograd.network.network import Network
    from micrograd.training.callbacks import TrainingState


class LastEpoch:
    """A callback that remembers the network as it was when the last epoch was complete."""

    def __init__(self, net: Network) -> None:
        self.net, self.epoch = net, 0
        self._kept: tuple[Any, ...] = ()

    def on_epoch(self, state: TrainingState) -> None:
        """Takes copies; they cost little beside an epoch."""
        assert state.position is not None
        self.epoch = state.epoch
        self._kept = (
            state.optimizer,
            self.net.parameters().flat.copy(),
            self.net.step,
            state.optimizer.state_dict(),
            state.position(),
        )

    def save(self, path: str) -> None:
        """Goes back to the last whole epoch and writes it, with all that training goes on from."""
        optimizer, flat, step, settings, position = self._kept
        self.net.parameters().flat[...] = flat
        self.net.step = step
        optimizer.load_state_dict(settings)
        self.net.optimizer, self.net.position = optimizer, position
        self.net.save(path)


def interrupted(last: LastEpoch, save: str | None, resume: str | None) -> KeyboardInterrupt:
    """Writes what is to be kept, and says how to go on."""
    if not last.epoch:
        return KeyboardInterrupt("interrupted before an epoch was complete: nothing is saved")
    epochs = "the first epoch is" if last.epoch == 1 else f"{last.epoch} whole epochs are"
    if save is not None:
        last.save(save)
    path = save or resume
    if path is None:
        return KeyboardInterrupt("interrupted; with --save the last whole epoch would be kept")
    return KeyboardInterrupt(
        f"interrupted; {epochs} in {path}; to go on: the same command with --resume {path}"
    )

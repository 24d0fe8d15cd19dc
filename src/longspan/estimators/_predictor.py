"""What the classifier and the regressor share: one `SequenceNetwork`, which gives numbers for sequences or steps."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from longspan.errors import ModelFileError
from longspan.estimators._pretrained import (
    check_agrees,
    fitted_encoder,
    network_like,
    parameters_like,
    parameters_of,
    start_from,
)
from longspan.estimators._recipe import Recipe
from longspan.estimators._sequence_estimator import TILE, SequenceEstimator
from longspan.estimators._training_set import TrainingSet
from longspan.sequences import Sequences
from longspan.tasks import SequenceNetwork


@dataclass(kw_only=True, eq=False, repr=False)
class SequencePredictor(SequenceEstimator):
    """Base of the estimators that answer a sequence, or each of its steps, with numbers."""

    per_step: bool = False
    pretrained: Any = None

    network_: SequenceNetwork = field(init=False)

    _network_type: ClassVar[Any] = SequenceNetwork

    def _sequence_network(self, network: Any) -> SequenceNetwork:
        part: SequenceNetwork = network
        return part

    # Starting from an encoder ----------------------------------------------------------------------------------------

    def _settings(self) -> dict[str, Any]:
        """Return the parameters, with those that the pretrained encoder decides as it has them."""
        parameters: dict[str, Any] = super()._settings()
        if self.pretrained is None:
            return parameters
        return parameters | parameters_like(fitted_encoder(self.pretrained), per_step=bool(self.per_step))

    def _settings_to_save(self) -> dict[str, Any]:
        """Return what a file says: the weights that came from an encoder are in the network.

        The network says how it is made: the encoder may have been fitted again since.
        """
        parameters: dict[str, Any] = self.get_params(deep=False)
        if self.pretrained is not None:
            parameters |= parameters_of(self.recipe_.network, per_step=self._by_steps)
        return parameters | {"pretrained": None}

    def _choose_recipe(self, training_set: TrainingSet, output_size: int) -> Recipe:
        if self.pretrained is None:
            return super()._choose_recipe(training_set, output_size)
        encoder = fitted_encoder(self.pretrained)
        check_agrees(self, encoder)
        recipe = super()._choose_recipe(training_set, output_size)
        return replace(recipe, network=network_like(encoder, recipe.network))

    def _new_network(self, training_set: TrainingSet) -> torch.nn.Module:
        if self.pretrained is None:
            return super()._new_network(training_set)
        network = SequenceNetwork(self.recipe_.network).to(self._torch_device())
        start_from(fitted_encoder(self.pretrained), network)
        return network

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted copy, with the pretrained encoder as it is: a clone of that would know nothing."""
        copied: Self = super().__sklearn_clone__()
        copied.pretrained = self.pretrained
        return copied

    # Using the network -----------------------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> tuple[NDArray[np.float64], Sequences]:
        """Run the network over X; return what the task reads, shape (N, K) or (sum T_i, K), and the sequences."""
        check_is_fitted(self, "network_")
        sequences = self._read_X(X)
        task = self._make_task()
        outputs = np.empty((sequences.n_steps if self._by_steps else len(sequences), self.network_.config.output_size))
        with torch.inference_mode():
            for batch in self._reading_batches(sequences).longest_first(tile=TILE):
                rows = batch.rows if self._by_steps else batch.index
                outputs[rows] = task.read(self.network_(batch.inputs)).numpy()
        return outputs, sequences

    @property
    def _by_steps(self) -> bool:
        """Whether the network that was fitted gives an output for every step."""
        check_is_fitted(self, "network_")
        return self.network_.config.pooling is None

    # What a model file is checked for ---------------------------------------------------------------------------------

    def _kind_of_network(self) -> dict[str, tuple[Any, Any]]:
        per_step = (bool(self.per_step), self.recipe_.network.pooling is None)
        return super()._kind_of_network() | {"per_step": per_step}

    def _check_state(self) -> None:
        size, features = self.network_.config.input_size, self.n_sequence_features_
        if size not in (features, 3 * features):
            raise ModelFileError(f"the network takes {size} features, the estimator {features}.")

"""Models for tokens whose lower layers may be frozen, and their output computed once, not every epoch.

transformers' own classes with that ability; `classifier` has the one for whole texts. Not for finding
or loading weights (`models`) or for training (`finetuning`).
"""

import torch
from torch.nn.functional import cross_entropy
from transformers import BertForQuestionAnswering, BertForTokenClassification
from transformers.modeling_outputs import QuestionAnsweringModelOutput, TokenClassifierOutput

from utils.answer_spans import span_loss


class FrozenLower:
    """For a model with a BERT in `bert`: `freeze(layers)`, `lower(…)` runs the frozen part alone, `upper(…)` the rest on its output."""

    @property
    def frozen_layers(self) -> int:
        """How many of the lowest encoder layers (and the embeddings with them) do not learn."""
        return getattr(self.config, "frozen_layers", 0)

    def freeze(self, layers: int):
        """Stop the embeddings and the lowest `layers` encoder layers from learning; 0 lets all learn."""
        if not 0 <= layers <= self.config.num_hidden_layers:
            raise ValueError(
                f"frozen layers must be between 0 and {self.config.num_hidden_layers}, got {layers}."
            )
        self.config.frozen_layers = layers
        self.bert.requires_grad_(True)
        for module in [self.bert.embeddings, *self.bert.encoder.layer[:layers]] if layers else []:
            module.requires_grad_(False)
        return self

    @torch.no_grad()
    def lower(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids=None):
        """Run the frozen part alone: (batch, sequence) -> (batch, sequence, hidden)."""
        hidden_states = self.bert.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
        return self._layers(hidden_states, attention_mask, 0, self.frozen_layers)

    def upper(self, hidden_states: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Run the layers above on the output of `lower`: (batch, sequence, hidden), in and out."""
        return self._layers(hidden_states, attention_mask, self.frozen_layers, None)

    def _layers(self, hidden_states, attention_mask, start, stop):
        visible = attention_mask[:, None, None, :].to(hidden_states.dtype)  # (batch, 1, 1, sequence)
        bias = (1.0 - visible) * torch.finfo(hidden_states.dtype).min  # added to the attention scores
        for layer in self.bert.encoder.layer[start:stop]:
            hidden_states = layer(hidden_states, attention_mask=bias)
        return hidden_states


class Reader(FrozenLower, BertForQuestionAnswering):
    """Start and end of an answer. Also takes `hidden_states` (batch, sequence, hidden), the output of `lower`."""

    def forward(self, input_ids=None, hidden_states=None, attention_mask=None, **others):
        """Return start and end logits (batch, sequence) and, where positions are given, the mean loss."""
        if hidden_states is None:
            return super().forward(input_ids, attention_mask=attention_mask, **others)
        logits = self.qa_outputs(self.upper(hidden_states, attention_mask))  # (b, s, n) -> (b, s, 2)
        start, end = logits.unbind(-1)
        positions = [others[name] for name in ("start_positions", "end_positions") if name in others]
        loss = span_loss(start, end, *positions) if positions else None
        return QuestionAnsweringModelOutput(loss=loss, start_logits=start, end_logits=end)


class Tagger(FrozenLower, BertForTokenClassification):
    """A label for each token. Also takes `hidden_states` (batch, sequence, hidden), the output of `lower`."""

    def forward(self, input_ids=None, hidden_states=None, attention_mask=None, labels=None, **others):
        """Return logits (batch, sequence, labels) and, where `labels` is given, the mean loss; -100 is left out."""
        if hidden_states is None:
            return super().forward(input_ids, attention_mask=attention_mask, labels=labels, **others)
        states = self.dropout(self.upper(hidden_states, attention_mask))  # (b, s, n)
        logits = self.classifier(states)  # (b, s, n) -> (b, s, labels)
        loss = None if labels is None else cross_entropy(logits.flatten(0, 1), labels.flatten())
        return TokenClassifierOutput(loss=loss, logits=logits)

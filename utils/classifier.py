"""The course's text classifier: BERT, the mean of its token vectors, one linear layer.

Not for finding or loading weights; `models` does that.
"""

import torch
import transformers
from torch import nn
from transformers import BertConfig, BertModel, BertPreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from utils.heads import FrozenLower


class MeanPooledConfig(BertConfig):
    """A BERT with the course's classification head. Its own type, so that AutoModel never mistakes it."""

    model_type = "bert_mean_pooled"


class MeanPooledClassifier(FrozenLower, BertPreTrainedModel):
    """BERT, the mean of its token vectors, and one linear layer: (batch, sequence) -> (batch, labels).

    The mean replaces BERT's pooled [CLS] (Devlin et al., 2019, section 3), because MiniLM was
    trained with it (Reimers and Gurevych, 2019, section 3). `hidden_states` of shape (batch,
    sequence, hidden) may stand in for `input_ids`: the output of `lower`, computed once.
    """

    config_class = MeanPooledConfig
    base_model_prefix = "bert"

    def __init__(self, config):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.bert = BertModel(config, add_pooling_layer=False)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self, input_ids=None, attention_mask=None, token_type_ids=None, hidden_states=None, labels=None
    ):
        """Return the logits (batch, labels) and, where `labels` is given, the mean loss."""
        if hidden_states is None:
            output = self.bert(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
            hidden_states = output.last_hidden_state  # (batch, sequence, hidden)
        else:
            hidden_states = self.upper(hidden_states, attention_mask)
        pooled = mean_pool(hidden_states, attention_mask)  # (batch, sequence, hidden) -> (batch, hidden)
        logits = self.classifier(self.dropout(pooled))  # (batch, hidden) -> (batch, labels)
        loss = None if labels is None else self.loss(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy over softmax for one label an example, over sigmoids for several."""
        if self.config.problem_type == "multi_label_classification":
            return nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        return nn.functional.cross_entropy(logits, labels)


# Lets AutoConfig, AutoModelForSequenceClassification and AutoTokenizer read a saved classifier.
transformers.AutoConfig.register(MeanPooledConfig.model_type, MeanPooledConfig, exist_ok=True)
transformers.AutoModelForSequenceClassification.register(
    MeanPooledConfig, MeanPooledClassifier, exist_ok=True
)


def mean_pool(hidden_states: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Average the vectors of the real tokens: (batch, sequence, hidden) -> (batch, hidden)."""
    # (batch, sequence) -> (batch, sequence, 1)
    weights = attention_mask.unsqueeze(-1).to(hidden_states.dtype)
    return (hidden_states * weights).sum(1) / weights.sum(1).clamp(min=1e-9)

"""BERT, written out: embeddings, blocks, pooler, heads (Devlin et al., 2019), readable in one sitting.

Takes the weights of transformers' models and gives them back; outputs and gradients are equal. It is
what `pretraining` trains. Not for fine-tuning, which uses transformers' own classes (`finetuning`).
Shapes: b texts, s tokens in each, n the hidden size, v word pieces in the vocabulary.
"""

from dataclasses import asdict, dataclass, fields

import torch
import transformers
from torch import Tensor, nn

from utils.attention import MultiHeadAttention, padding_mask


@dataclass(frozen=True)
class Config:
    """The sizes of a BERT, by transformers' names; the defaults are BERT-Base."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    pad_token_id: int = 0

    @classmethod
    def from_transformers(cls, config: transformers.BertConfig) -> "Config":
        """Raises ValueError for a variant that this BERT is not (another activation, a decoder)."""
        if config.hidden_act != "gelu" or getattr(config, "is_decoder", False):
            raise ValueError(f"expected an encoder with gelu, got {config.hidden_act} or a decoder.")
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})

    def to_transformers(self) -> transformers.BertConfig:
        return transformers.BertConfig(**asdict(self))


def initialize(module: nn.Module, width: float = 0.02) -> None:
    """Draw weights from a normal distribution of this width, as BERT and GPT-2 do; biases start at 0."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=width)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


class Embeddings(nn.Module):
    """Sum of word piece, position and segment embedding, normalised: (b, s) ids -> (b, s, n)."""

    def __init__(self, config: Config):
        super().__init__()
        self.words = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.segments = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        position_ids = torch.arange(input_ids.shape[1], device=input_ids.device)  # (s,): 0, 1, 2, …
        summed = self.words(input_ids) + self.positions(position_ids) + self.segments(token_type_ids)
        return self.dropout(self.norm(summed))  # (b, s, n)


class Block(nn.Module):
    """Attention, add & norm, feed-forward, add & norm: (b, s, n) -> (b, s, n).

    With `context` (b, s, n), only the tokens given (b, m, n) are computed, and they attend to all of it.
    """

    def __init__(self, config: Config):
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.attention = MultiHeadAttention(
            width, config.num_attention_heads, config.attention_probs_dropout_prob
        )
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.expand = nn.Linear(width, config.intermediate_size)
        self.contract = nn.Linear(config.intermediate_size, width)
        self.feed_forward_norm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self, hidden_states: Tensor, mask: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        attended = self.dropout(self.attention(hidden_states, mask, context))
        hidden_states = self.attention_norm(hidden_states + attended)
        inner = nn.functional.gelu(self.expand(hidden_states))  # (b, s, n) -> (b, s, 4n)
        return self.feed_forward_norm(hidden_states + self.dropout(self.contract(inner)))  # -> (b, s, n)


class Pooler(nn.Module):
    """The state of the first token, [CLS], through a tanh layer: (b, s, n) -> (b, n)."""

    def __init__(self, config: Config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return torch.tanh(self.dense(hidden_states[:, 0]))


class Bert(nn.Module):
    """The encoder. Returns the states of all tokens (b, s, n) and the pooled state (b, n)."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.pooler = Pooler(config)
        self.apply(self._initialize)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode.

        Args:
            input_ids: (b, s) whole numbers below the vocabulary's size.
            attention_mask: (b, s), 1 for a token and 0 for padding; None: no padding.
            token_type_ids: (b, s), 0 for the first segment and 1 for the second; None: all 0.

        Raises:
            ValueError: ids, segments, mask or length that the model cannot take, with what it expected.
        """
        if token_type_ids is None:
            token_type_ids = torch.zeros_like(input_ids)
        self._check(input_ids, attention_mask, token_type_ids)
        mask = None if attention_mask is None else padding_mask(attention_mask)  # (b, 1, 1, s)
        hidden_states = self.embeddings(input_ids, token_type_ids)  # (b, s) -> (b, s, n)
        for block in self.blocks:
            hidden_states = block(hidden_states, mask)  # (b, s, n) -> (b, s, n)
        return hidden_states, self.pooler(hidden_states)

    def _check(self, input_ids: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor) -> None:
        if input_ids.dim() != 2 or input_ids.dtype not in (torch.int64, torch.int32):
            got = f"{tuple(input_ids.shape)} of {input_ids.dtype}"
            raise ValueError(f"expected ids of shape (batch, sequence) of whole numbers, got {got}.")
        longest = self.config.max_position_embeddings
        if input_ids.shape[1] > longest:
            raise ValueError(
                f"expected at most {longest} tokens, got {input_ids.shape[1]}: truncate, or use windows."
            )
        for name, given in (("attention_mask", attention_mask), ("token_type_ids", token_type_ids)):
            if given is not None and given.shape != input_ids.shape:
                expected = tuple(input_ids.shape)
                raise ValueError(f"expected {name} of the ids' shape {expected}, got {tuple(given.shape)}.")
        if torch.compiler.is_compiling():  # a compiled step must not wait for the numbers
            return
        for name, given, size in (
            ("ids", input_ids, self.config.vocab_size),
            ("token_type_ids", token_type_ids, self.config.type_vocab_size),
        ):
            if given.numel() and not (given.min() >= 0 and given.max() < size):
                raise ValueError(f"expected {name} from 0 to {size - 1}, got {given.min()} to {given.max()}.")

    def _initialize(self, module: nn.Module) -> None:
        initialize(module, self.config.initializer_range)

    @classmethod
    def from_transformers(cls, model: transformers.BertModel) -> "Bert":
        """Return our BERT with the weights of transformers' `BertModel` (with its pooler)."""
        return _take(cls(Config.from_transformers(model.config)), model)

    def to_transformers(self) -> transformers.BertModel:
        """Return transformers' `BertModel` with our weights."""
        return _give(self, transformers.BertModel(self.config.to_transformers()))


class MaskedLanguageModelHead(nn.Module):
    """Scores of all word pieces at each token, by the transposed word embeddings: (…, n) -> (…, v)."""

    def __init__(self, config: Config, words: nn.Embedding):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)
        self.decoder.weight = words.weight  # tied: one matrix reads word pieces in and out

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.decoder(self.norm(nn.functional.gelu(self.dense(hidden_states))))


class BertForPreTraining(nn.Module):
    """BERT with the heads of its two tasks: masked language model, and next sentence prediction."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.bert = Bert(config)
        self.masked_language_model = MaskedLanguageModelHead(config, self.bert.embeddings.words)
        self.next_sentence = nn.Linear(config.hidden_size, 2)  # class 0: B follows A; class 1: it does not
        for head in (self.masked_language_model.dense, self.next_sentence):
            self.bert._initialize(head)
        nn.init.zeros_(self.masked_language_model.decoder.bias)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the scores of all word pieces at all tokens (b, s, v) and of the two classes (b, 2)."""
        hidden_states, pooled = self.bert(input_ids, attention_mask, token_type_ids)
        return self.masked_language_model(hidden_states), self.next_sentence(pooled)

    @classmethod
    def from_transformers(cls, model: transformers.BertForPreTraining) -> "BertForPreTraining":
        return _take(cls(Config.from_transformers(model.config)), model)

    def to_transformers(self) -> transformers.BertForPreTraining:
        return _give(self, transformers.BertForPreTraining(self.config.to_transformers()))


class Classifier(nn.Module):
    """BERT with one decision for a text, on the pooled state: (b, s) ids -> logits (b, labels)."""

    def __init__(self, bert: Bert, labels: int):
        super().__init__()
        self.bert = bert
        self.dropout = nn.Dropout(bert.config.hidden_dropout_prob)
        self.head = nn.Linear(bert.config.hidden_size, labels)
        bert._initialize(self.head)

    def forward(self, *inputs: Tensor | None) -> Tensor:
        """Take what `Bert` takes."""
        return self.head(self.dropout(self.bert(*inputs)[1]))


class TokenClassifier(Classifier):
    """BERT with a decision for each token: -> (b, s, labels). Two labels, start and end, answer questions."""

    def forward(self, *inputs: Tensor | None) -> Tensor:
        return self.head(self.dropout(self.bert(*inputs)[0]))


# ------------------------------------------------------------------------- weights of transformers

NAMES = (  # ours, transformers'; the first that fits is replaced, top to bottom
    ("embeddings.words", "embeddings.word_embeddings"),
    ("embeddings.positions", "embeddings.position_embeddings"),
    ("embeddings.segments", "embeddings.token_type_embeddings"),
    ("embeddings.norm", "embeddings.LayerNorm"),
    ("blocks.", "encoder.layer."),
    (".attention.output.", ".attention.output.dense."),
    (".attention.query.", ".attention.self.query."),
    (".attention.key.", ".attention.self.key."),
    (".attention.value.", ".attention.self.value."),
    (".attention_norm.", ".attention.output.LayerNorm."),
    (".expand.", ".intermediate.dense."),
    (".contract.", ".output.dense."),
    (".feed_forward_norm.", ".output.LayerNorm."),
    ("masked_language_model.dense.", "cls.predictions.transform.dense."),
    ("masked_language_model.norm.", "cls.predictions.transform.LayerNorm."),
    ("masked_language_model.decoder.", "cls.predictions.decoder."),
    ("next_sentence.", "cls.seq_relationship."),
)


def their_name(ours: str) -> str:
    """Return transformers' name of one of our parameters."""
    for old, new in NAMES:
        ours = ours.replace(old, new)
    return ours


def _take(ours: nn.Module, theirs: nn.Module) -> nn.Module:
    weights = theirs.state_dict()
    missing = [name for name in map(their_name, ours.state_dict()) if name not in weights]
    if missing:
        raise ValueError(f"the model has no weights {missing[0]}: load it with its pooler and its heads.")
    ours.load_state_dict({name: weights[their_name(name)] for name in ours.state_dict()})
    return ours.train(theirs.training)


def _give(ours: nn.Module, theirs: nn.Module) -> nn.Module:
    weights = {their_name(name): tensor for name, tensor in ours.state_dict().items()}
    left_out = theirs.load_state_dict(weights, strict=False)
    # transformers keeps the bias of the vocabulary under a second name, tied to the first
    unknown = [name for name in left_out.missing_keys if name != "cls.predictions.bias"]
    if unknown or left_out.unexpected_keys:
        raise ValueError(
            f"transformers names its weights in another way: {(unknown + left_out.unexpected_keys)[0]}."
        )
    return theirs.train(ours.training)

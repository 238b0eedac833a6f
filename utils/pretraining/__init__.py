"""Pre-training: a corpus to word pieces to MLM and NSP batches to a BERT that transformers loads.

`python -m utils.pretraining --help` is the command. `recipe` holds the settings, `tokens` the word
pieces on disk, `batches` masking and sentence pairs, `steps` one step of learning, `loop` the run,
`saves` what survives a crash, `report` what is left to read. Not for labelled data (`finetuning`).
"""

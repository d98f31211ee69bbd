_base_ = [
    '../_base_/models/translator_transformer.py',
    '../_base_/datasets/multi30k_de_en.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/translation_runtime.py',
]

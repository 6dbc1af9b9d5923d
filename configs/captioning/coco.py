"""COCO captions by TFDS (coco_captions, array_record), Show, Attend and Tell with ResNet-50 features at 224 pixels.

    python -m experiments.captioning --config=configs/captioning/coco.py --config.encoder.weights=resnet50.safetensors

Needs a network (or the data set, prepared) and the weights of torchvision or timm. Not run: there was neither.
"""

from configs.captioning import show_attend_tell


def get_config():
    config = show_attend_tell.get_config()
    config.data.source, config.data.download = "tfds", True
    config.data.least, config.data.pixels = 5, 0
    config.encoder.name = "resnet50"
    return config

"""Photographs told in the manner of a text of one's choice, here Shakespeare's.

    RNN_JAX_DATA=<folder> python -m experiments.story --config=configs/story/flickr8k.py \
        --config.captions=runs/captioning/cnn_h0 --config.data.text=<folder>/tinyshakespeare/input.txt

Needs a finished run of configs/captioning/cnn_h0.py or of show_attend_tell.py. 4,543 passages of up to 30 words teach a
decoder little; config.also has it learn as many captions, too. Measured 2026-11-27, jax 0.10.2, shared CPU cores, not
quite like with like: 1.0 with the captions of show_attend_tell (35 min of training), 0 with those of cnn_h0, before W_o
began by its fan-in alone (41 min, 1 core):

    also                                     1.0             0
    content words of the captions kept       46 %            1.4 %
    ... without the shift                    59 %            2.8 %
    ... of another picture's captions        1.2 %           0
    words that no caption has, over his      0.05            0.33
    perplexity of the decoder                27              34

Poor both: with captions the stories are about the picture, stumble, and have little of Shakespeare ("the brown dog is
running through snow is the snow"); without, they have his words and nothing of the picture. Shares between were not
tried. The autoencoder writes 18 % of held-out texts word for word.
"""

from configs.story import default


def get_config():
    config = default.get_config()
    config.width, config.embed = 256, 128
    config.data.least, config.data.longest = 3, 30
    config.also = 1.0
    config.dropout_out = 0.3
    config.pictures = 1000
    config.optimizer.rate = 1e-3
    return config

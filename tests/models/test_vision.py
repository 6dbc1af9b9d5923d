"""Image encoders: shapes, real and made-up weights, wrong files; against numpy, and against torch where it is there."""

import io
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image
from safetensors.numpy import save_file
from scipy.signal import correlate

from rnn_jax.models import vision
from rnn_jax.models.vision import resnet, squeezenet
from rnn_jax.nn import functional

pytestmark = pytest.mark.usefixtures("quick_module")
KERAS = "squeezenet_v1.1/squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"


def make(name, weights="", **sizes):
    return vision.make(name, weights, rngs=nnx.Rngs(0), **sizes)


def pixels(n, size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "size", "grid"), [("squeezenet", 128, 7), ("squeezenet", 227, 13), ("resnet18", 64, 2), ("small", 64, 4)]
)
def test_a_grid_of_features(name, size, grid):
    cnn = make(name)
    found = vision.frozen(cnn)(pixels(2, size))
    assert found.shape == (2, grid, grid, cnn.channels) and found.dtype == jnp.float32
    assert np.isfinite(found).all() and (found[0] != found[1]).any()


def test_a_fire_module_is_its_definition():
    """By scipy, in float64: squeeze, then 1x1 and 3x3 beside one another."""
    fire = squeezenet.Fire(5, 3, 4, rngs=nnx.Rngs(1))
    xs = np.random.default_rng(0).standard_normal((1, 6, 7, 5))
    weights = lambda layer: (np.asarray(layer.kernel[...], float), np.asarray(layer.bias[...], float))

    def conv(xs, layer):
        kernel, bias = weights(layer)
        each = [
            sum(correlate(xs[0, ..., n], kernel[:, :, n, m], "same") for n in range(xs.shape[-1])) + bias[m]
            for m in range(kernel.shape[-1])
        ]
        return np.maximum(np.stack(each, -1), 0)[None]

    s = conv(xs, fire.squeeze1x1)
    want = np.concatenate([conv(s, fire.expand1x1), conv(s, fire.expand3x3)], -1)
    np.testing.assert_allclose(fire(jnp.asarray(xs, jnp.float32)), want, atol=2e-5)


def test_the_published_squeezenet(data_root):
    """Its weights are read whole, and the order of the colours counts."""
    cnn = make("squeezenet", data_root / KERAS)
    assert sum(a.size for a in jax.tree.leaves(nnx.state(cnn))) == 722_496
    archive = zipfile.ZipFile(data_root / "flickr8k/images128_dev.zip")
    images = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(n)))) for n in archive.namelist()[:4]])
    see = vision.frozen(cnn)
    right, turned, made_up = see(images), see(images[..., ::-1]), vision.frozen(make("squeezenet"))(images)
    assert right.shape == (4, 7, 7, 512) and float(jnp.abs(right - turned).mean()) > 0.1
    assert 0.5 < float((right == 0).mean()) < 0.95 != float((made_up == 0).mean())  # sparse, as after ReLU
    assert vision.fingerprint(cnn) != vision.fingerprint(make("squeezenet"))
    assert vision.fingerprint(cnn) == vision.fingerprint(make("squeezenet", data_root / KERAS))


def state(depth, seed=0):
    """A state dict in torchvision's names, with a classifier, of random numbers."""
    rng, out = np.random.default_rng(seed), {}
    for name, (value, kernel) in make(f"resnet{depth}").named().items():
        shape = np.array(value.shape)[[3, 2, 0, 1]] if kernel else value.shape
        scale = np.sqrt(2 / np.prod(shape[1:])) if kernel else 0.3
        drawn = scale * rng.standard_normal(shape)
        out[name] = (np.abs(drawn) + 0.5 if name.endswith(("running_var", ".weight")) and not kernel else drawn).astype(
            np.float32
        )
    out["fc.weight"], out["fc.bias"] = np.zeros((10, 8), np.float32), np.zeros(10, np.float32)
    return out | {"bn1.num_batches_tracked": np.full((), 3)}


@pytest.mark.parametrize("depth", [18, 50])
def test_weights_of_torchvision_are_read(depth, tmp_path):
    saved = state(depth)
    save_file(saved, tmp_path / "w.safetensors")
    cnn = make(f"resnet{depth}", tmp_path / "w.safetensors")
    for name, (value, kernel) in cnn.named().items():
        mine = np.asarray(value[...])
        np.testing.assert_array_equal(mine.transpose(3, 2, 0, 1) if kernel else mine, saved[name])
    assert len(cnn.named()) == {18: 100, 50: 265}[depth]


@pytest.mark.parametrize("depth", [18, 50])
def test_against_torch(depth, tmp_path):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    saved = state(depth)
    save_file(saved, tmp_path / "w.safetensors")
    w = {name: torch.tensor(value) for name, value in saved.items()}

    def normed(xs, name):
        parts = [w[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(xs, *parts, training=False, eps=1e-5)

    def layer(xs, name, norm, stride, padding):
        return normed(functional.conv2d(xs, w[f"{name}.weight"], stride=stride, padding=padding), norm)

    images = pixels(2, 64)
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (resnet.MEAN, resnet.STD))
    xs = (torch.tensor(images).permute(0, 3, 1, 2).float() / 255 - mean) / std
    xs = functional.max_pool2d(functional.relu(layer(xs, "conv1", "bn1", 2, 3)), 3, 2, 1)
    for stage, count in enumerate(resnet.BLOCKS[depth], 1):
        for i in range(count):
            p, stride = f"layer{stage}.{i}", 2 if stage > 1 and i == 0 else 1
            sizes = [(1, 0), (stride, 1), (1, 0)] if depth == 50 else [(stride, 1), (1, 1)]
            ys = xs
            for j, (s, padding) in enumerate(sizes, 1):
                ys = layer(functional.relu(ys) if j > 1 else ys, f"{p}.conv{j}", f"{p}.bn{j}", s, padding)
            if f"{p}.downsample.0.weight" in w:
                xs = layer(xs, f"{p}.downsample.0", f"{p}.downsample.1", stride, 0)
            xs = functional.relu(xs + ys)
    want = xs.permute(0, 2, 3, 1).numpy()
    found = np.asarray(vision.frozen(make(f"resnet{depth}", tmp_path / "w.safetensors"))(images))
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4 * np.abs(want).max())


def test_the_small_one_is_trained_and_knows_where_things_are():
    params, rebuild = functional(make("small", widths=(4, 6)))
    images = np.full((1, 32, 32, 3), 128, np.uint8)
    grid = rebuild(params)(images)
    assert grid.shape == (1, 8, 8, 6) and (grid[0, 2, 2] != grid[0, 5, 5]).any()
    inner = vision.frozen(make("small", widths=(4, 6), coordinates=False))(images)[0, 2:6, 2:6]
    np.testing.assert_allclose(inner, np.broadcast_to(inner[0, 0], inner.shape), rtol=1e-5)


def test_wrong_weights_are_one_line(tmp_path):
    (tmp_path / "junk").write_bytes(b"no weights at all")
    save_file(state(18), tmp_path / "18")
    cut = state(18)
    cut["conv1.weight"] = cut["conv1.weight"][:, :, :3, :3].copy()
    save_file(cut, tmp_path / "cut")
    for name, file, message in (
        ("squeezenet", "absent", "does not exist: config.encoder.weights names a file"),
        ("squeezenet", "junk", "holds no Keras weights as HDF5"),
        ("resnet18", "junk", "is no safetensors file"),
        ("resnet50", "18", "holds no weights of ResNet-50: "),
        ("resnet18", "cut", r"1 differences: conv1.weight is \[64, 3, 3, 3\], want \[64, 3, 7, 7\]"),
        ("small", "18", "small is trained from scratch"),
    ):
        with pytest.raises(vision.WrongWeights, match=message) as error:
            make(name, tmp_path / file)
        assert "\n" not in str(error.value) and error.value.exit_code == 2
    with pytest.raises(ValueError, match="no 'vgg'; there are squeezenet, resnet18"):
        make("vgg")

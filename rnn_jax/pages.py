"""Pages of HTML that need no other file."""

import base64
import io
from html import escape
from pathlib import Path

STYLE = """
:root { color-scheme: light dark; }
body {
  font: 16px/1.4 system-ui, sans-serif; overflow-wrap: anywhere; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
}
main {
  margin-top: 1.5rem; display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr));
}
figure { margin: 0; }
img { width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: 6px; display: block; }
p { margin: .4rem 0 0; }
small { opacity: .65; }
"""


def captions_page(items, path, *, title: str) -> Path:
    """A page of pictures, each with its captions, best first; those that could not be read are a list at its end.

    items: (name, image uint8 [h w 3] or None, list of (text, log p), why it could not be read or "").
    """
    figures, bad = [], []
    for name, image, texts, why in items:
        if image is None:
            bad.append(f"<li>{escape(why if name in why else f'{name}: {why}')}</li>")
            continue
        lines = [f"<p>{escape(text) or '(nothing)'} <small>{logprob:.2f}</small></p>" for text, logprob in texts]
        alt = escape(texts[0][0] if texts else name, quote=True)
        figures.append(
            f'<figure><img src="data:image/jpeg;base64,{jpeg(image)}" alt="{alt}">'
            f"<figcaption>{''.join(lines)}<small>{escape(name)}</small></figcaption></figure>"
        )
    missing = f"<h2>Not read</h2><ul>{''.join(bad)}</ul>" if bad else ""
    note = "The number behind a caption is the log-probability that the model gives it, in nats."
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><h1>{escape(title)}</h1><p>{note}</p>"
        f"<main>{''.join(figures)}</main>{missing}</body></html>\n"
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def jpeg(image, most=320) -> str:
    """base64 of a JPEG of at most so many pixels a side."""
    from PIL import Image

    made, held = Image.fromarray(image), io.BytesIO()
    made.thumbnail((most, most))
    made.save(held, "JPEG", quality=85)
    return base64.b64encode(held.getvalue()).decode()

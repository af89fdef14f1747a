"""What every image says of itself: that a model made it, and which one. Knows no request.

XMP in PNG, JPEG and WebP, with IPTC's digital source type, which is what platforms look for; a
comment in GIF. The same for all images of a model, so equal pixels stay equal files. It is a label
and no proof: whoever edits the file can take it out. Signatures: service/signing.py.
"""

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from xml.sax.saxutils import escape

from model_store import GENERATOR_FILE, ModelCard

SERVICE_VERSION = "0.1.0"  # a Bento runs without the package's metadata; a test compares
_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype"
MADE = f"{_SOURCE_TYPES}/trainedAlgorithmicMedia"
COMPOSITE = f"{_SOURCE_TYPES}/compositeWithTrainedAlgorithmicMedia"  # pasted back into a photo

_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmp:CreatorTool="GradCtrl {version}" Iptc4xmpExt:DigitalSourceType="{source_type}">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{receipt}</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


@dataclass(frozen=True)
class Provenance:
    """The receipt of an image."""

    model: str  # name on its card
    model_sha256: str  # of the generator's weights
    is_composite: bool = False  # holds pixels of a photo
    noise: str = "const"
    version: str = SERVICE_VERSION

    @classmethod
    def of(cls, card: ModelCard) -> "Provenance":
        """Of a stored model's card."""
        return cls(card.name, card.files[GENERATOR_FILE])

    def as_json(self) -> str:
        """One line."""
        return json.dumps({"made_by": "GradCtrl", **asdict(self)}, separators=(",", ":"))


@lru_cache(maxsize=64)
def xmp_of(provenance: Provenance) -> bytes:
    """An XMP packet."""
    return _XMP.format(
        version=provenance.version,
        source_type=COMPOSITE if provenance.is_composite else MADE,
        receipt=escape(provenance.as_json()),
    ).encode()

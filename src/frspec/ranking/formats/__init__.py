"""Rankings and what other programs keep of them, as files.

Knows: which formats there are and which one a file is. Does not know: what ids mean.

Every format is a module's business: ``own`` (frspec's ranking), ``lists`` (ids in rank order: FR-Spec, SGLang, CPM.cu,
JSON, text), ``counts`` (speculators), ``mappings`` (``d2t`` and ``t2d`` of EAGLE-3, SpecForge, speculators and
llama.cpp). ``containers`` opens files and knows nothing of rankings, ``telling`` says which format content is,
``table`` has all of them by name with what each loses.
"""

from frspec.ranking.formats.lists import ID_LISTS as ID_LISTS
from frspec.ranking.formats.lists import read_ids as read_ids
from frspec.ranking.formats.lists import write_ids as write_ids
from frspec.ranking.formats.own import check_ranking_name as check_ranking_name
from frspec.ranking.formats.own import save_ranking as save_ranking
from frspec.ranking.formats.table import FORMATS as FORMATS
from frspec.ranking.formats.table import Source as Source
from frspec.ranking.formats.table import format_of_name as format_of_name
from frspec.ranking.formats.table import load_ranking as load_ranking
from frspec.ranking.formats.table import read_source as read_source
from frspec.ranking.formats.table import write_source as write_source

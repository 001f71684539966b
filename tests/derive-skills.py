#!/usr/bin/env python3
"""Derives connector/src/demo/skills.tsv from the public ESCO v1.2 and ROME 4.0 tables in ../shared/data/skills.

    tests/derive-skills.py ../shared/data/skills > connector/src/demo/skills.tsv

Takes an even sample of each theme, so that it is small, repeatable and free of choices made by hand. Columns: theme, framework, code, label.
"""
import pathlib, re, sys

# theme: (pattern over ESCO labels, ROME code prefixes)
THEMES = {
    "digital": (None, "M18"),
    "commerce": (r"customer|\bsell\b|sales|merchandise|\bshop\b", "D11 D12"),
    "care": (r"patient|elderly|first aid|healthcare|disab|personal hygiene|nursing|social services", "J15 K13"),
    "cooking": (r"food|kitchen|cook|menu|beverage|pastry|dish(es)?\b|wine", "G16"),
    "building": (r"construction|brick|plaster|concrete|pipe|\btiles?\b|insulation|roof|scaffold|plumb", "F16"),
    "industry": (r"weld|metal|machine|lathe|mechanical|industrial|electrical", "H21 I13"),
    "logistics": (r"warehouse|cargo|freight|vehicle|transport|stock|shipment|forklift", "N11 N41"),
    "office": (r"account|office|invoice|budget|meeting|correspondence|records\b|typ(e|ing)", "M16 M12"),
    "nature": (r"\bcrops?\b|soil|\btrees?\b|harvest|garden|forest|livestock|seeds?\b|horticult|animal (feed|welfare|care)", "A12 A14"),
    "teaching": (r"child|student|lesson|teach|youth|classroom|pedagog", "K21 K12"),
    "general": (r"team|communicat|\blisten|languages?\b|problem|creativ|deadlines?|feedback|motivat|organis|adapt|critical", ""),
}
ESCO_EACH, ROME_EACH, LONGEST = 40, 22, 48


def read(path):
    return [line.rstrip("\n").split("\t") for line in path.open(encoding="utf-8")][1:]


def sample(rows, count):
    step = max(1.0, len(rows) / count)
    return [rows[int(i * step)] for i in range(min(count, len(rows)))]


folder = pathlib.Path(sys.argv[1])
esco = sorted((label, uri) for uri, label in read(folder / "esco-skills.tsv")
              if uri.startswith("http://data.europa.eu/esco/skill/") and len(label) <= LONGEST)
ict = {uri for _, _, uri in read(folder / "esco-ict-occupation-skills.tsv")}
rome = sorted(read(folder / "rome.tsv"))
print("# A selection from ESCO v1.2 (European Commission) and ROME 4.0 (France Travail); made by tests/derive-skills.py; see NOTICE.")
taken = set()
for theme, (pattern, prefixes) in THEMES.items():
    matching = [(label, uri) for label, uri in esco if uri not in taken
                and (uri in ict if pattern is None else re.search(pattern, label) and uri not in ict)]
    for label, uri in sample(matching, ESCO_EACH):
        taken.add(uri)
        print(theme, "esco", uri, label, sep="\t")
    for code, label in sample([row for row in rome if row[0][:3] in prefixes.split()], ROME_EACH):
        print(theme, "rome", code, label, sep="\t")

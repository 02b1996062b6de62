"""The words in the generated shop's titles and descriptions, which `catalogue` reads."""

# fmt: off
NOUNS = [
    "lantern", "cushion", "vase", "candle", "mug", "teapot", "blanket", "basket", "clock", "mirror",
    "tray", "apron", "frame", "planter", "stool", "rug", "lamp", "bowl", "notebook", "scarf",
    "bunting", "jar", "coaster", "umbrella",
]
CONSUMABLE_NOUNS = [
    "soap", "milk", "tea", "coffee", "honey", "detergent", "shampoo", "napkins", "cereal", "juice",
    "jam", "incense", "pasta", "toothpaste", "sponges", "granola", "balm", "biscuits", "polish", "rice",
    "lotion", "chocolate", "tissues", "syrup",
]
PLACES = ["garden", "kitchen", "bedroom", "travel", "nursery", "office", "bathroom", "party"]
STYLES = ["rustic", "minimalist", "victorian", "nordic", "floral", "industrial", "retro", "nautical"]
COLOURS = [
    "ivory", "crimson", "sage", "navy", "mustard", "charcoal", "blush", "teal", "lilac", "amber",
    "copper", "white",
]
MATERIALS = [
    "oak", "linen", "ceramic", "brass", "cotton", "glass", "wicker", "slate", "wool", "steel",
    "bamboo", "leather",
]
BRANDS = [
    "Hollin", "Marbury", "Tansley", "Orwick", "Fenn", "Calder", "Brampton", "Ludlow", "Selwyn",
    "Ashdown", "Wren", "Pell", "Harrow", "Kestrel", "Dunmore", "Larkhill", "Osgood", "Quill",
    "Rowan", "Thistle", "Umber", "Vale", "Yarrow", "Zeal",
]
SERIES = [
    "Alder", "Birch", "Cedar", "Dune", "Ember", "Fable", "Grove", "Haven", "Isle", "Juniper",
    "Kelp", "Linden", "Meadow", "Nettle", "Orchard", "Poppy", "Quarry", "River", "Sorrel", "Tide",
    "Umbra", "Vesper", "Willow", "Yonder",
]
# fmt: on

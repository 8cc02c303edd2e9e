"""The keys of the main screen: what they do, their names in the footer, under `?`, and in the user's own settings."""

from __future__ import annotations

from textual.binding import Binding

KEYS: tuple[Binding, ...] = (
    Binding("1", "panel('catalogue')", "Models", show=False, tooltip="the model catalogue", id="models"),
    Binding("2", "panel('dataset')", "Images", show=False, tooltip="the images of the dataset", id="images"),
    Binding("3", "panel('query')", "Query", show=False, tooltip="the query and its neighbours", id="query"),
    Binding("tab", "next_panel(1)", "Panel", show=False, priority=True, tooltip="the next panel", id="next_panel"),
    Binding(
        "shift+tab",
        "next_panel(-1)",
        "Panel back",
        show=False,
        priority=True,
        tooltip="the panel before",
        id="previous_panel",
    ),
    Binding(
        "left_square_bracket",
        "switch_model(-1)",
        "Model",
        key_display="[",
        show=False,
        tooltip="previous model, same query",
        id="previous_model",
    ),
    Binding(
        "right_square_bracket",
        "switch_model(1)",
        "Model",
        key_display="[ ]",
        tooltip="next model, same query",
        id="next_model",
    ),
    Binding("m", "choose_model", "Models", tooltip="choose a model by typing a part of its name", id="choose_model"),
    Binding("n", "step(1)", "Next", tooltip="next image as the query", id="next_image"),
    Binding("p", "step(-1)", "Prev", show=False, tooltip="previous image as the query", id="previous_image"),
    Binding("r", "random", "Random", show=False, tooltip="random image as the query", id="random"),
    Binding("t", "text_query", "Text", tooltip="search by text: words as the query", id="text_query"),
    Binding("o", "open_picture", "Open", tooltip="a file or an address as the query", id="open_picture"),
    Binding("a", "add_to_query", "Add", show=False, tooltip="add words or a picture to the query", id="add_to_query"),
    Binding(
        "plus",
        "mix_in(1)",
        "Add it",
        key_display="+",
        show=False,
        tooltip="add the neighbour to the query",
        id="mix_in",
    ),
    Binding(
        "minus",
        "mix_in(-1)",
        "Subtract it",
        key_display="-",
        show=False,
        tooltip="subtract the neighbour from the query",
        id="mix_out",
    ),
    Binding("C", "crop", "Crop", show=False, tooltip="search with a part of the picture", id="crop"),
    Binding("b", "history(-1)", "Back", show=False, tooltip="back to the query before", id="back"),
    Binding("f", "history(1)", "Forward", show=False, tooltip="forward to the query after", id="forward"),
    Binding("y", "copy_path", "Copy path", show=False, tooltip="copy the path of the picture", id="copy_path"),
    Binding("Y", "reveal", "Reveal", show=False, tooltip="go to the picture among the images", id="reveal"),
    Binding("e", "embed", "Embed", tooltip="embed the dataset with the current model", id="embed"),
    Binding("e", "stop_embedding", "Stop", tooltip="stop embedding; what is done stays", id="stop_embedding"),
    Binding(
        "E",
        "embed_all",
        "Embed all",
        show=False,
        tooltip="embed with all models that run here; what it costs is told before",
        id="embed_all",
    ),
    Binding("z", "zoom", "Zoom", tooltip="look at the query and a neighbour, large", id="zoom"),
    Binding(
        "c",
        "side_by_side",
        "Side by side",
        show=False,
        tooltip="the query under all models, side by side",
        id="side_by_side",
    ),
    Binding(
        "d",
        "disagreement",
        "Disagree",
        show=False,
        tooltip="the queries on which the models differ most, side by side",
        id="disagreement",
    ),
    Binding(
        "T",
        "tournament",
        "Tournament",
        show=False,
        tooltip="blind tournament: which of two unnamed models fits the query better",
        id="tournament",
    ),
    Binding(
        "v", "verdict", "Verdict", tooltip="which model is best here: scores, costs, where models differ", id="verdict"
    ),
    Binding(
        "P",
        "plots",
        "Plots",
        show=False,
        tooltip="plots: a map of the embeddings, similarities, quality and cost",
        id="plots",
    ),
    Binding(
        "x", "export", "Export", show=False, tooltip="write the query and its neighbours as a picture", id="export"
    ),
    Binding("i", "details", "Details", show=False, tooltip="an image with all that is known of it", id="details"),
    Binding("space", "mark", "Mark", key_display="Space", show=False, tooltip="mark an image, or unmark it", id="mark"),
    Binding(
        "asterisk",
        "only_marked",
        "Marked",
        key_display="*",
        show=False,
        tooltip="only the marked images; again: all",
        id="only_marked",
    ),
    Binding("u", "unmark", "Unmark", show=False, tooltip="unmark all images; again: bring the marks back", id="unmark"),
    Binding(
        "U", "unreadable", "Unreadable", show=False, tooltip="images that could not be read, and why", id="unreadable"
    ),
    Binding("slash", "filter", "Filter", key_display="/", tooltip="filter models or images", id="filter"),
    Binding("g", "cycle_graphics", "Graphics", show=False, tooltip="draw pictures in another way", id="cycle_graphics"),
    Binding("J", "jobs", "Jobs", show=False, tooltip="the embedding jobs", id="jobs"),
    Binding("D", "open_dataset", "Dataset", show=False, tooltip="open another dataset", id="open_dataset"),
    Binding("question_mark", "help", "Help", key_display="?", tooltip="all keys", id="help"),
    Binding("q", "quit", "Quit", tooltip="leave", id="quit"),
)

PANEL_ACTIONS = frozenset(binding.action.split("(")[0] for binding in KEYS) - {"cycle_graphics"}
"""What the panels do with keys: nothing while a window is on top of them."""

STRIP_ACTIONS = frozenset({"mix_in", "copy_path", "reveal"})
"""What is done to the picture under the cursor of the query view: nothing while another panel is active."""

"""The headless recording station as data: everything is kept, nothing is shown."""

from rt.graph import Graph
from rt.graphs.therapy import outlets, picture_path, recorder, signal_path, station_graph
from rt.station import Station


def recording_graph(station: Station, headless: bool, token: str, port: int, start_s: float) -> Graph:
    """Nodes and edges; headless, token and port have no meaning here, there is no page."""
    # Nobody watches: the camera's own picture is what is kept, and what networks say of it can be made later
    station = station.model_copy(update={"restore": None, "expression": None, "estimate": None})
    parts = [signal_path(station, start_s), picture_path(station, start_s), recorder(station), outlets(station)]
    return station_graph(station, parts)

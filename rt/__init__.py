"""The real-time room: gives arrays a time, moves them between processes, and shows and records them."""

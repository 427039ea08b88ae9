"""Many files, by the processes of one machine or of a Ray cluster: `python -m realtime.batch`."""

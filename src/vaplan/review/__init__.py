"""Review of events beside the playing video: a local server and one page.

- `collection`: videos and events of a table or of a folder of timelines.
- `edits`: checks of the events that a page sends.
- `history`: the edit log, which is only appended to.
- `session`: versions and states of the videos, and the reviewed table.
- `order`: which videos to look at first.
- `files`: media files as bytes, and ranges of them.
- `background`: queues of jobs with progress.
- `preparation`: waveforms, spectrograms, scores and playable copies, made in the background.
- `parsing`: score curves of a trained parser.
- `desk`: everything that the page shows, as JSON values.
- `changes`: changes that the page sends, as strict JSON.
- `replies`: JSON of replies and errors.
- `guard`: refusal of hostile requests.
- `server`: addresses of the page and of the data.

The server needs `pip install 'vaplan[review]'`; the other modules do not.
"""

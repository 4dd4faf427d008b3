"""The command line with chunks of 100 rows, so that a short run writes its log in many parts; a program of its own."""

import dataflow.engine.chunk
from dataflow.cli.main import main

if __name__ == "__main__":
    dataflow.engine.chunk.CHUNK_ROWS = 100
    main()

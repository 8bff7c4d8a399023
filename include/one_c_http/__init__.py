"""1C's own «обмен с сайтом» over HTTP: who may call, what it sends piece by piece, what it is answered."""

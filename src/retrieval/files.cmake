# target_sources(etalage PRIVATE src/retrieval/...)

# target_sources(etalage PRIVATE src/io/...)

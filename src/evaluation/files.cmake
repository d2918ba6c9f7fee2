# target_sources(etalage PRIVATE src/evaluation/...)

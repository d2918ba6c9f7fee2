# target_sources(etalage PRIVATE src/datasets/...)

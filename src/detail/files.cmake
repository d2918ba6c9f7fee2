target_sources(etalage PRIVATE src/detail/parallel_for.cpp)

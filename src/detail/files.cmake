target_sources(etalage PRIVATE
  src/detail/huge_pages.cpp
  src/detail/parallel_for.cpp)

# From rows and requests to the best of them.
target_sources(etalage PRIVATE
  src/search/closer_query.cpp src/search/coded_panels.cpp src/search/coded_query.cpp src/search/coded_scan.cpp
  src/search/exact.cpp src/search/exact_coded.cpp src/search/longest_rows.cpp src/search/row_order.cpp src/search/top_k.cpp)

# The fuzz targets: src/fuzz/fuzz_NAME.c is bin/fuzz_NAME. See fuzz.h for how to add one, ../../fuzz to run one.
file(GLOB sources CONFIGURE_DEPENDS src/fuzz/fuzz_*.c)
foreach(source IN LISTS sources)
  cmake_path(GET source STEM stem)
  add_executable(${stem} ${source} src/fuzz/fuzz.c)
  target_link_libraries(${stem} PRIVATE autobee lua hypercore_net tests_support autobee_flags)
  target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
endforeach()

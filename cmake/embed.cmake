# Text files of the source tree as C arrays that end with NUL: minuano_embed(target symbol file). The file is plain ASCII.
# The same file, run as a script, writes one.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${INPUT} bytes HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  file(WRITE ${OUTPUT} "extern const char ${SYMBOL}[];\nconst char ${SYMBOL}[] = {\n${bytes}0};\n")
  return()
endif()

set(MINUANO_EMBED ${CMAKE_CURRENT_LIST_FILE})
function(minuano_embed target symbol file)
  set(output ${CMAKE_BINARY_DIR}/embedded/${symbol}.c)
  add_custom_command(OUTPUT ${output} DEPENDS ${CMAKE_SOURCE_DIR}/${file} ${MINUANO_EMBED} VERBATIM
    COMMAND ${CMAKE_COMMAND} -DINPUT=${CMAKE_SOURCE_DIR}/${file} -DOUTPUT=${output} -DSYMBOL=${symbol} -P ${MINUANO_EMBED})
  target_sources(${target} PRIVATE ${output})
endfunction()

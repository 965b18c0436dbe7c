# Flags of every C and C++ file. Meant, so not warned of: truncated messages (-Wno-format-truncation) and the zero at the
# end of a short table row (-Wno-missing-field-initializers).
add_library(minuano_warnings INTERFACE)
target_compile_options(minuano_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:C,CXX>:-Wall -Wextra -Wpedantic $<$<BOOL:${MINUANO_WERROR}>:-Werror> -Wno-missing-field-initializers>
  $<$<AND:$<COMPILE_LANGUAGE:C>,$<C_COMPILER_ID:GNU>>:-Wno-format-truncation>
  $<$<COMPILE_LANGUAGE:C>:-fno-math-errno>)
if(MINUANO_SANITIZE)
  target_compile_options(minuano_warnings INTERFACE
    $<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer>)
  target_link_options(minuano_warnings INTERFACE -fsanitize=address,undefined)
endif()

# The CUDA device. A kernel that spills registers does not compile where warnings are errors. sm_90a carries the wgmma
# kernels; sm_80 is the mma.sync path, and its PTX serves later chips.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80 90a)
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
message(STATUS "minuano: CUDA toolkit ${CUDAToolkit_VERSION}, architectures ${CMAKE_CUDA_ARCHITECTURES}")

file(GLOB MINUANO_KERNELS CONFIGURE_DEPENDS kernels/*.cu)
if(MINUANO_KERNELS)
  target_sources(minuano_core PRIVATE ${MINUANO_KERNELS})
  set_target_properties(minuano_core PROPERTIES CUDA_ARCHITECTURES "${CMAKE_CUDA_ARCHITECTURES}" CUDA_STANDARD 17)
  target_compile_definitions(minuano_core PUBLIC MN_WITH_CUDA)
  target_compile_options(minuano_core PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr -lineinfo -Xcompiler=-Wall,-Wextra -Xptxas=--warn-on-spills>)
  if(MINUANO_WERROR)
    target_compile_options(minuano_core PRIVATE
      $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings -Xcompiler=-Werror -Xptxas=--warning-as-error>)
  endif()
  target_link_libraries(minuano_core PUBLIC CUDA::cudart CUDA::cublasLt)
endif()

set pagination off
set confirm off
set width 0
set debuginfod enabled off
set breakpoint pending on
break env_ktime
run
echo ---- frames\n
backtrace
echo ---- up\n
frame function bpf_prog_frames.inner
info source
echo ---- on\n
delete
break bpf_prog_frames.inner
finish
continue

"""English as people write it to a bot, beside the words in which APIs name things: data.

General to business and operations; no word of a single API or product belongs here (`words:` in the catalog is for those), and no code.
The tests hold it to bench/data/peculiar.txt.
"""

# Words that say nothing about which operation is meant. Question words have their meaning in model/prompt/question.py.
STOP = """\
a an and are as at be been but by can could did do does for from give had has have he her hers him his how i if in into is it its let like
may me might mine my need of off on or our ours out please she should so some such tell than that the their theirs them then there these
they this those to too up us very want was we were what when where which who whom whose why will with would you your yours about any also
am being because just not no only over same until while during each few more most other own s t don ve re ll d m now currently right today
yesterday tomorrow tonight week month year hour minute day ago last next soon already still again ever hey hi hello thanks thank pls dear
doesn didn isn aren wasn weren won couldn shouldn hasn haven anybody anyone everybody everyone somebody someone nobody one ones two three
thing things stuff called named say says much many lot kindly quickly really maybe back away down"""

# What may stand apart from its verb in a phrase; how people begin; how they begin a question.
PARTICLES = "off up away out down over on back"
POLITE = "please hey hi hello thanks can could would will you i we want need like to let s now and then pls kindly ok"
SEEING = """\
who whom whose what which when where how why is are was were does did do has have can could show list tell find get search look count any
whats there"""

# Verbs that name a method.
WRITES = {
    "DELETE": """\
delete remove cancel drop erase kick revoke unlink detach clear terminate unlock fire stop void destroy discard close""",
    "POST": """\
create add new make open start insert register put place post set invite send run book hire order write leave file log submit attach restart
reboot stop shutdown upload approve reject""",
    "PUT": """\
update change edit modify rename set replace move mark put add star lock protect enable disable give assign""",
    "PATCH": """\
update change edit modify rename set replace move mark close reopen enable disable assign""",
}

# Of a placeholder's name: what it is, not whose.
ID_WORDS = "id uuid number slug name key no code ref token guid identifier"

# Phrases of two or three words = the words that they mean.
PHRASES = """\
set up = create add; sets up = create add; call off = cancel delete; switch off = disable stop; turn off = disable stop shutdown;
shut down = shutdown stop; switch on = enable start; turn on = enable start; hand over = assign transfer; take away = remove delete revoke;
take out = remove; take off = remove; take part = participant attend; took part = participant attend; taken part = participant attend;
sign up = register subscribe; signed up = register subscribe; signs up = register subscribe; log in = login session;
sign in = login session; roll back = rollback revert; rolled back = rollback revert; put back = restore revert; bring back = restore;
get rid = delete remove; throw out = delete remove; kick out = remove delete member; let go = remove terminate;
work on = task assign; working on = task assign; works on = task assign; worked on = task assign; look at = view; looked at = view;
look over = review; go over = review; goes down = down uptime outage alert; went down = down uptime outage alert;
is down = down uptime outage status; run out = expire; runs out = expire; ran out = expire;
give access = permission add collaborator member; get access = permission access request; money back = refund; gives back = return;
give back = return; send back = return; days off = leave vacation absence; day off = leave vacation absence;
time off = leave vacation absence; off sick = leave absence sick; out of office = absence leave; on leave = leave absence;
on holiday = leave absence; put through = transfer forward; fill in = update; fill out = submit; break down = split;
carry out = run execute; find out = get; point to = record update target; points to = record url target; moved to = transfer move;
due date = due deadline; pull request = pull; pull requests = pull;
check in = checkin; check out = checkout; back up = backup snapshot; opt out = unsubscribe; how much = amount cost price balance;
how long = duration time; how often = count frequency; how busy = usage metric load; how full = usage size free; how big = size;
how old = age created; belong to = owner member; belongs to = owner member; in charge = owner manager assignee;
responsible for = owner assignee"""

# Irregular forms, short forms and spellings = the plain word.
PLAIN = """\
paid=pay sent=send bought=buy people=person persons=person children=child men=man women=woman wrote=write written=write made=make
began=begin begun=begin gone=go went=go spent=spend ran=run chosen=choose chose=choose held=hold built=build found=find lost=lose
sold=sell told=tell took=take taken=take given=give gave=give got=get hung=hang left=leave kept=keep met=meet said=say shown=show
drawn=draw drew=draw grew=grow grown=grow hidden=hide known=know knew=know broke=break broken=break stolen=steal stole=steal woken=wake
worn=wear forgot=forget forgotten=forget owed=owe mice=mouse indices=index criteria=criterion statuses=status
addresses=address staff=employee info=information infos=information config=configuration configs=configuration repo=repository
repos=repository org=organization orgs=organization organisation=organization organisations=organization auth=authentication
admin=administrator admins=administrator msg=message msgs=message pic=picture pics=picture doc=document docs=document env=environment
envs=environment db=database dbs=database vm=machine vms=machine app=application apps=application dept=department emp=employee
acct=account addr=address qty=quantity num=number tel=phone cellphone=phone colour=color favourite=favorite favourites=favorite
cancelled=cancel canceled=cancel cancellation=cancel cheque=check licence=license programme=program"""

# Words that may stand for one another. The first of a group is near to all of it; the others are less near to each other.
GROUPS = """\
create add new make open start insert register put place post set file raise submit issue;
delete remove cancel drop erase kick revoke unlink detach clear destroy discard;
update change edit modify rename set adjust replace move switch correct mark; list all every overview; search find lookup query;
send deliver mail forward notify; close finish complete done resolve end;
stop cancel abort disable pause end terminate suspend shutdown halt off; start run trigger launch execute begin resume enable boot;
restart reboot retry; approve accept confirm allow grant authorize permit; reject deny decline refuse;
invite invitation add member; assign assignee owner responsible delegate; person user member human profile contact;
employee staff worker colleague user personnel coworker; user account login; customer client buyer consumer contact;
company organization business firm employer enterprise account; group team department squad; role permission right access privilege;
image photo picture logo avatar icon thumbnail screenshot; video recording; voice audio recording voicemail;
file document attachment upload content; text content body; comment message note reply remark; say comment message write;
write comment message post send; conversation discussion thread chat comment; ticket issue bug case incident problem task;
problem error issue alert incident failure; error failure fail fault crash; pull merge; build run job pipeline workflow check;
invoice bill; bill billing charge payment; pay payment charge transaction; buy purchase order payment; owe balance due invoice;
refund reimburse return; money amount balance fund cash payment; salary wage pay earning payslip payroll compensation;
earn salary wage pay; price cost fee rate amount pricing; cost price billing usage spend; spend billing cost usage;
 subscription plan membership; product item article good; cart basket checkout;
delivery shipment shipping; vat tax; card payment; leave vacation holiday absence;
manager boss supervisor lead; hire onboard join; fire terminate offboard; address location place street;
where location address place region; location place site city country region; phone telephone mobile number; call phone meeting;
meeting call conference event; attend participant attendee; join participant member; register registrant registration signup;
date time due deadline schedule; begin start; end finish; machine server host computer instance node device;
server machine host instance node; instance server machine; disk volume storage drive filesystem; memory ram; cpu load processor;
backup snapshot copy; copy duplicate clone; restore recover rollback revert; bigger resize scale upgrade; grow resize increase scale;
resize scale upgrade; website site page url domain; domain dns record; address ip url; ip address; deploy deployment release rollout;
release version tag; version release revision; setting configuration option preference; secret password token credential key;
password credential secret; log history event activity audit record; history log change event revision audit;
change history log commit diff; activity event log; event activity; monitor metric alert check; alert alarm warning notification;
notification alert message; outage down uptime incident; status state condition health; health status; count number total sum;
statistic stat metric analytic report usage traffic; usage metric statistic traffic; view visit traffic; report summary statistic;
summary overview description; rating rate score; best top; latest recent new newest; upcoming future scheduled; similar alike related;
suggest recommend suggestion; follow follower subscribe watch watcher; favorite star bookmark like; star favorite bookmark;
watch watcher subscribe follow; category type kind; category tag label; tag label; task todo item ticket; todo task; project board;
hour time tracking; calendar event appointment; room place;
booking reservation; book reserve reservation booking; folder directory; parent above; child sub; block dependency depend blocked;
blocked block dependency; link url; share link permission; shared share;
language locale translation; country region; webhook hook; branch ref; diff compare; between compare; vulnerability security;
dependency package; key ssh; certificate ssl tls; expire expiry; environment stage; variable parameter setting; lock freeze;
transfer move; merge combine; split divide; protect protection rule; rule policy; budget spend; contract agreement; survey poll question;
 answer response reply poll; question answer; form submission; lead prospect opportunity; deal opportunity;
supplier vendor; stock inventory quantity available; inventory stock; warehouse location; newsletter campaign; campaign mailing;
subscriber member; template blueprint; export download; import upload; download export content; upload attach add;
attach attachment upload; print pdf"""
